#!/usr/bin/env python3
"""Train the demo model on CIFAR-10 and write its weights, configuration and model card."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from demo_training import data, report
from demo_training.augment import augment
from demo_training.muon import Muon
from repository import ROOT

sys.path.insert(0, str(ROOT / "handlers"))
from gradcam.networks.demo_network import DemoNet

EXAMPLE = """example:
  python scripts/train_demo.py --data cifar10-jpeg.zip --photos photos
  python scripts/train_demo.py --download data/cifar10
  python scripts/train_demo.py --data cifar10-jpeg.zip --photos photos --evaluate
"""
SERVING = data.Preprocessing()
BATCH = 256
KERNEL_RATE, OTHER_RATE = 0.04, 0.1
SMALLER = ((0.3, 24), (0.84, 32))  # up to this progress, this many pixels a side
WIDE_SHARE, WIDE_AS_SERVED = 0.3, 0.1  # pictures scaled far beyond the usual; fewer at the end
EASING, EASED = 0.7, 0.3  # from this progress on, variation is eased down to this share of it
WATCHED = 2000  # test pictures looked at after each epoch, to show progress only


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder or zip: train|test/<class>/*.jpg")
    source.add_argument("--download", type=Path, metavar="DIR", help="let torchvision fetch it")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument(
        "--minutes", type=float, help="fit into this long instead; then not repeatable"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile: needs a C++ compiler"
    )
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="convolve in bfloat16: 2 to 3 times as fast on a CPU with AMX, slow on one without",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "demo")
    parser.add_argument("--photos", type=Path, help="photographs to report on: <class>/*.jpg")
    parser.add_argument("--evaluate", action="store_true", help="report on the weights in --out")
    return parser.parse_args()


def command(args: argparse.Namespace) -> str:
    """The command line for the card: every path by its last name only."""
    words = ["python", "scripts/train_demo.py"]
    for name in ("data", "download", "photos"):
        if path := getattr(args, name):
            words += [f"--{name}", path.name]
    length = ["--minutes", f"{args.minutes:g}"] if args.minutes else ["--epochs", str(args.epochs)]
    words += [*length, "--seed", str(args.seed)]
    words += ["--threads", str(args.threads)]
    words += ["--compile"] * args.compile + ["--bf16"] * args.bf16
    return shlex.join(words)


def slope(progress: float) -> float:
    """The learning rates' factor at ``progress`` 0..1: a short rise, then straight down to 0."""
    return min(progress / 0.03, (1 - progress) / 0.97)


def input_size(progress: float) -> int:
    """Small and cheap first; the last part as served."""
    return next((size for end, size in SMALLER if progress < end), SERVING.crop_size)


def strength(progress: float) -> float:
    """How much pictures are varied: fully, and less towards the end, as they are served."""
    return 1 - (1 - EASED) * max(0.0, progress - EASING) / (1 - EASING)


def follow(averages: Sequence[Tensor], currents: Sequence[Tensor], _: Tensor | int) -> None:
    """Moves the averaged weights a step towards the current ones."""
    for average, current in zip(averages, currents, strict=True):
        if average.is_floating_point():
            average.lerp_(current, 0.01)
        else:
            average.copy_(current)


class Clock:
    """Where the training stands, from 0 to 1; prints a line every few seconds."""

    def __init__(self, steps: int, minutes: float | None, every: float = 10.0) -> None:
        self.steps, self.minutes, self.every = steps, minutes, every
        self.start = self.shown = time.monotonic()
        self.step = self.unshown = 0

    @property
    def elapsed(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.start) / 60

    @property
    def progress(self) -> float:
        """How much of the training is done: of the minutes if given, else of the steps."""
        return self.elapsed / self.minutes if self.minutes else self.step / self.steps

    def tick(self, epoch: int, loss: Tensor, size: int) -> None:
        """Counts one batch."""
        self.step, self.unshown = self.step + 1, self.unshown + 1
        now = time.monotonic()
        if now - self.shown < self.every:
            return
        speed = self.unshown * BATCH / (now - self.shown)
        left = self.elapsed * (1 / self.progress - 1)
        print(
            f"epoch {epoch} step {self.step} size {size}  {speed:.0f} pictures/s  "
            f"loss {loss.item():.3f}  {left:.0f} min left",
            flush=True,
        )
        self.shown, self.unshown = now, 0


def train(args: argparse.Namespace, train: data.Split, test: data.Split) -> None:
    """Trains, and saves after every epoch."""
    network = DemoNet(len(data.CLASS_NAMES))
    average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    forward = torch.compile(network, dynamic=False) if args.compile else network
    kernels = [p for p in network.parameters() if p.ndim == 4]
    others = [p for p in network.parameters() if p.ndim < 4]
    muon = Muon(kernels)
    descent = torch.optim.SGD(others, lr=OTHER_RATE, momentum=0.9, nesterov=True)
    watched = torch.randperm(len(test.labels))[:WATCHED]
    watch = data.Split(test.pictures[watched], test.labels[watched])
    watch_served = watch.served(SERVING)

    steps_per_epoch = len(train.labels) // BATCH
    clock = Clock(args.epochs * steps_per_epoch, args.minutes)
    epoch = 0
    while clock.progress < 1:
        epoch += 1
        network.train()
        order = torch.randperm(len(train.labels))[: steps_per_epoch * BATCH]
        for chosen in order.view(-1, BATCH):
            progress = clock.progress
            if progress >= 1:
                break
            for group in descent.param_groups:
                group["lr"] = OTHER_RATE * slope(progress)
            size = input_size(progress)
            wide = WIDE_AS_SERVED if size == SERVING.crop_size else WIDE_SHARE
            varied = augment(train.pictures[chosen], size, wide, strength(progress))
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                logits = forward(SERVING.normalise(varied))
            loss = functional.cross_entropy(
                logits.float(), train.labels[chosen], label_smoothing=0.1
            )
            network.zero_grad()
            torch.autograd.backward(loss)
            descent.step()
            muon.step(KERNEL_RATE * slope(progress))
            average.update_parameters(network)
            clock.tick(epoch, loss, size)
        probabilities = report.predict(average.module, watch_served, SERVING)
        accuracy = (probabilities.argmax(1) == watch.labels).float().mean().item()
        print(f"epoch {epoch}: {accuracy:.4f} of {WATCHED}, {clock.elapsed:.1f} min", flush=True)
        # The last average is the model: nothing is selected on the test pictures.
        history = {
            "command": command(args),
            "minutes": f"{clock.elapsed:.0f}",
            "pictures": str(clock.step * BATCH),
            "torch": torch.__version__,
        }
        save(args.out, average.module, history)


def history_of(weights: Path) -> dict[str, str]:
    """Reads how the weights came about, from their file."""
    with safe_open(weights, "pt") as opened:
        history: dict[str, str] = opened.metadata()
    return history


def save(out: Path, network: nn.Module, history: dict[str, str]) -> None:
    """Writes the weights, with their history, and ``model.json``."""
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "weights.safetensors"
    save_file(network.state_dict(), weights, metadata=history)
    weights.chmod(0o644)  # it comes out readable by its owner alone
    model = {
        "architecture": "demo_net",
        "num_classes": len(data.CLASS_NAMES),
        "class_names": list(data.CLASS_NAMES),
        "preprocessing": SERVING.document(),
    }
    (out / "model.json").write_text(json.dumps(model, indent=2) + "\n")


def main() -> None:
    """Trains unless told not to, then reports."""
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    train_split, test_split = (
        data.download(args.download) if args.download else data.load(args.data)
    )
    print(f"{len(train_split.labels)} pictures to train on, {len(test_split.labels)} to test on")
    if not args.evaluate:
        train(args, train_split, test_split)
    weights = args.out / "weights.safetensors"
    network = DemoNet(len(data.CLASS_NAMES))
    network.load_state_dict(load_file(weights))
    report.write(
        args.out, network, SERVING, test_split, photos=args.photos, history=history_of(weights)
    )


if __name__ == "__main__":
    main()
