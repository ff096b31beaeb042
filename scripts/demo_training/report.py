"""Measure the model as it is served, and write its card: ``README.md`` and ``confusion.png``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

from demo_training import card
from demo_training.card import Photo
from demo_training.data import CLASS_NAMES, Preprocessing, Split, open_photo

mpl.use("Agg")

NEAR = "near-"  # a photo folder "near-deer" holds something close to a deer, reported apart
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


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
    (out / "README.md").write_text(card.text(network, preprocessing, counts, seen, history))
