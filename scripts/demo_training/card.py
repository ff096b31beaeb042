"""The model card: what was measured, as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from demo_training.data import CLASS_NAMES, Preprocessing


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


def text(
    network: nn.Module,
    preprocessing: Preprocessing,
    counts: Tensor,
    photos: Sequence[Photo],
    history: Mapping[str, str],
) -> str:
    """Writes the card.

    Args:
        network: The model.
        preprocessing: As it is served.
        counts: The test pictures by what they show (rows) and what is predicted (columns).
        photos: The photographs, if any were looked at.
        history: How the weights came about, as their file tells.
    """
    sections = [
        _introduction(network, preprocessing),
        _test_section(counts),
        _photo_section(photos),
        _LIMITS,
        _making(history),
    ]
    return _wrapped("\n".join(sections))


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


def _test_section(counts: Tensor) -> str:
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
    return f"""## On the CIFAR-10 test pictures

**{accuracy:.2%}** of the {total:,} test pictures are right ({right:,}; ± {error:.2%} at 95 %),
measured through the preprocessing above, as served. The weights are those at the end of the
training, not picked from several; 2,000 of these pictures were watched for its progress.

| Class | Found (recall) | Right when said (precision) | Most often taken for |
| --- | --- | --- | --- |
{table}

![Confusion matrix: rows show what is in the picture, columns what is predicted](confusion.png)
"""


def _photo_section(photos: Sequence[Photo]) -> str:
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
