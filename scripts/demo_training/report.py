"""Measure the model as it is served, and write its card: ``README.md`` and ``confusion.png``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

from demo_training.data import CLASS_NAMES, Preprocessing, Split, open_photo

mpl.use("Agg")

NEAR = "near-"  # a photo folder "near-deer" holds something close to a deer, reported apart
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Photo:
    """One photograph, what it shows, and what the model says."""

    name: str
    truth: str
    near: bool
    predicted: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the model names what the photograph shows."""
        return self.predicted == self.truth


@torch.inference_mode()
def predict(network: nn.Module, served: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Runs the network over uint8 (N, 3, H, W); gives probabilities (N, num_classes)."""
    network.eval()
    starts = range(0, len(served), 250)
    parts = [network(preprocessing.normalise(served[at : at + 250])) for at in starts]
    return torch.cat(parts).softmax(1)


def confusion(network: nn.Module, preprocessing: Preprocessing, test: Split) -> Tensor:
    """Counts the test pictures by what they show (rows) and what is predicted (columns)."""
    predicted = predict(network, test.served(preprocessing), preprocessing).argmax(1)
    n = len(CLASS_NAMES)
    return torch.bincount(test.labels * n + predicted, minlength=n * n).view(n, n)


def photographs(network: nn.Module, preprocessing: Preprocessing, folder: Path) -> list[Photo]:
    """Predicts every picture in ``folder/<class>/`` and ``folder/near-<class>/``."""
    photos = []
    for path in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES):
        truth = path.parent.name.removeprefix(NEAR)
        if truth not in CLASS_NAMES:
            raise SystemExit(f"{path.parent.name} is neither a class nor {NEAR}<class>")
        pixels = preprocessing.pixels(open_photo(path))[None]
        probability, index = predict(network, pixels, preprocessing)[0].max(0)
        near = path.parent.name.startswith(NEAR)
        predicted = CLASS_NAMES[int(index)]
        photos.append(Photo(path.stem, truth, near, predicted, probability.item()))
    return photos


def draw(counts: Tensor, path: Path) -> None:
    """Writes the confusion matrix as a picture."""
    figure, axes = plt.subplots(figsize=(7.2, 6.6), layout="constrained")
    share = counts / counts.sum(1, keepdim=True)
    axes.imshow(share.sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)  # root: small counts show
    for row, column in torch.cartesian_prod(torch.arange(len(counts)), torch.arange(len(counts))):
        count = int(counts[row, column])
        colour = "white" if share[row, column] > 0.3 else "black"
        if count:
            axes.text(int(column), int(row), str(count), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(CLASS_NAMES)), CLASS_NAMES, rotation=45, ha="right")
    axes.set_yticks(range(len(CLASS_NAMES)), CLASS_NAMES)
    axes.set_xlabel("predicted")
    axes.set_ylabel("shown")
    accuracy = counts.trace().item() / counts.sum().item()
    axes.set_title(f"CIFAR-10 test pictures: {accuracy:.2%} right")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def write(
    out: Path,
    network: nn.Module,
    preprocessing: Preprocessing,
    test: Split,
    *,
    photos: Path | None,
    history: Mapping[str, str],
) -> None:
    """Measures, and writes ``confusion.png`` and ``README.md`` into ``out``."""
    counts = confusion(network, preprocessing, test)
    draw(counts, out / "confusion.png")
    seen = photographs(network, preprocessing, photos) if photos else []
    accuracy = counts.trace().item() / counts.sum().item()
    print(f"test accuracy {accuracy:.4f}")
    for photo in seen:
        verdict = "right" if photo.right else "WRONG"
        print(f"{verdict}  {photo.name}: {photo.predicted} {photo.probability:.3f}")
    sections = [
        _introduction(network, preprocessing),
        _test_section(counts, len(history["command"].splitlines())),
        _photo_section(seen),
        _LIMITS,
        _making(history),
    ]
    (out / "README.md").write_text(_wrapped("\n".join(sections)))


def _wrapped(document: str) -> str:
    """Fills the running text to 100 columns; tables, lists and code stay as they are."""
    blocks = document.strip().split("\n\n")
    kept = ("#", "|", "-", "!", "```")
    filled = [
        block
        if block.startswith(kept)
        else textwrap.fill(block, 100, break_long_words=False, break_on_hyphens=False)
        for block in blocks
    ]
    return "\n\n".join(filled) + "\n"


def _introduction(network: nn.Module, preprocessing: Preprocessing) -> str:
    parameters = sum(p.numel() for p in network.parameters())
    size = preprocessing.crop_size
    fit = (
        f"Both sides of the picture are resized to {size} pixels, whatever its proportions"
        if preprocessing.squash
        else f"The shorter side is resized to {preprocessing.resize} pixels and the middle "
        f"{size} × {size} cut out"
    )
    return f"""# The demo model

A small residual network ({parameters:,} parameters) that tells ten everyday things apart:
{", ".join(CLASS_NAMES)}. It exists so that the handler can be tried, tested and shown without a
download. It is not meant for any other use.

| File | What it is |
| --- | --- |
| `weights.safetensors` | the state dict, float32 |
| `model.json` | architecture, class names in index order, preprocessing |
| `confusion.png` | which things it takes for which |

{fit} (bilinear, antialiased); values are divided by 255 and normalised. The layer to explain is
`layer3`; its maps are {size // 4} × {size // 4}.

## Data

Trained on the 50,000 training pictures of CIFAR-10 (A. Krizhevsky, *Learning Multiple Layers of
Features from Tiny Images*, 2009), 32 × 32 pixels each. CIFAR-10's own terms apply to the data,
which is not part of this repository. Its pictures were collected from the web, as a labelled part
of the 80 Million Tiny Images, which its authors withdrew in 2020; the rights in the pictures are
their owners'.
"""


def _test_section(counts: Tensor, runs: int) -> str:
    total = int(counts.sum())
    right = int(counts.trace())
    accuracy = right / total
    error = 1.96 * (accuracy * (1 - accuracy) / total) ** 0.5
    rows = []
    for index, name in enumerate(CLASS_NAMES):
        hits, shown = int(counts[index, index]), int(counts[index].sum())
        said = max(1, int(counts[:, index].sum()))
        wrong = counts[index].clone()
        wrong[index] = 0
        most = int(wrong.argmax())
        rows.append(
            f"| {name} | {hits / shown:.1%} | {hits / said:.1%} "
            f"| {CLASS_NAMES[most]} ({int(wrong[most])}) |"
        )
    table = "\n".join(rows)
    seen = (
        f"The weights are those at the end of the last of {runs} runs. Each went on from the one "
        "before because the accuracy was thought too low, and runs that ended lower were dropped, "
        "so that these pictures had a say in when to stop."
        if runs > 1
        else "The weights are those at the end of the training, not picked from several."
    )
    return f"""## On the CIFAR-10 test pictures

**{accuracy:.2%}** of the {total:,} test pictures are right ({right:,}; ± {error:.2%} at 95 %),
measured through the preprocessing above, as served. {seen} 2,000 of these pictures were watched
for its progress.

| Class | Found (recall) | Right when said (precision) | Most often taken for |
| --- | --- | --- | --- |
{table}

![Confusion matrix: rows show what is in the picture, columns what is predicted](confusion.png)
"""


def _photo_section(photos: list[Photo]) -> str:
    if not photos:
        return "## On photographs\n\nNot measured.\n"
    counted = [photo for photo in photos if not photo.near]
    wrong = [photo for photo in counted if not photo.right]
    lines = [
        f"| {p.name.replace('_', ' ')} | {'close to ' * p.near}{p.truth} "
        f"| {p.predicted} | {p.probability:.0%} | {'yes' if p.right else '**no**'} |"
        for p in photos
    ]
    table = "\n".join(lines)
    verdict = (
        "Wrong: "
        + "; ".join(f"{p.name.replace('_', ' ')} taken for {p.predicted}" for p in wrong)
        + "."
        if wrong
        else "None is wrong."
    )
    apart = " and ".join(p.name.replace("_", " ") for p in photos if p.near)
    near = f"Close to a class, not of it, and so not counted: {apart}. " if apart else ""
    return f"""## On photographs

**{len(counted) - len(wrong)} of {len(counted)}** ordinary photographs (ImageNet pictures of the
ten classes) are right. {verdict} {near}They were not trained on, and they are far too few to
give a rate: they only show whether the model is of use beyond thumbnails. The serving size was
fixed before the training, for a finer map than 32 × 32 pixels allow; nothing was chosen by these
pictures.

| Photograph | Shows | Predicted | Probability | Right |
| --- | --- | --- | --- | --- |
{table}
"""


_LIMITS = """## Limits

- It knows ten words. Anything else, a person or a house, is given one of them, often with a high
  probability; there is no "none of these".
- It learned from thumbnails of one centred thing. Small, cut off, or several things in a picture
  mislead it, and cats and dogs are its commonest confusion.
- It sees a few dozen pixels a side: detail that a reader of the overlay sees, it does not.
- Probabilities are not calibrated; it was trained with label smoothing.
- Maps show what moved a logit in this network, on a coarse grid. They are no proof that it looked
  at the right thing for the right reason.
"""


def _making(history: Mapping[str, str]) -> str:
    epochs = int(history["pictures"]) / 50_000
    return f"""## How it was made

```console
{history["command"]}
```

{history["minutes"]} minutes on a CPU, beside other work, with torch {history["torch"]};
{int(history["pictures"]):,} augmented pictures seen, {epochs:.1f} times the training split. This
card and its picture are written by the same script; `--evaluate` writes them again.
"""
