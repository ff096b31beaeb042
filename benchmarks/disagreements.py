"""How far pytorch-grad-cam, torch-cam and captum are from the papers' formulas, on real networks.

Example:
    python benchmarks/disagreements.py

Prints the tables of docs/methods.md. Maps are compared after the ReLU and over their maximum, so
that 0.1 is a tenth of the brightest cell; each line gives the greatest difference in any cell
between the library's map and the paper's, and between ours and the paper's. The paper's maps are
worked out from full float64 autograd. Networks: the demo model on a photograph (scikit-image's
cat), and torchvision's with seeded random weights on noise.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handlers"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cases import Case, demo, random_network

import paper_formulas
from gradcam.engine.perturbation import run_ablationcam, run_scorecam
from library_maps import captum, distance, frgfm, jacobgil, jacobgil_of

CAT, AIRPLANE = 3, 0
SIGNED = "layer3.0.conv2"


Line = tuple[str, str, str, str, float, float]
"""Method, library, how it differs, where, its distance from the paper, and ours."""


def agreeing(case: Case, where: str) -> Iterator[Line]:
    """Methods that the libraries have right."""
    for method, formula, takes in (
        ("gradcam", paper_formulas.gradcam, ((jacobgil, "GradCAM"), (frgfm, "GradCAM"), (captum,))),
        ("hirescam", paper_formulas.hirescam, ((jacobgil, "HiResCAM"),)),
        (
            "gradcam_elementwise",
            paper_formulas.gradcam_elementwise,
            ((jacobgil, "GradCAMElementWise"),),
        ),
        ("layercam", paper_formulas.layercam, ((jacobgil, "LayerCAM"), (frgfm, "LayerCAM"))),
        ("xgradcam", paper_formulas.xgradcam, ((jacobgil, "XGradCAM"), (frgfm, "XGradCAM"))),
    ):
        paper = case.paper(formula)
        mine = distance(case.ours(method), paper)
        for take in takes:
            theirs = distance(case.library(*take), paper)
            yield method, LIBRARIES[take[0]], "as the paper", where, theirs, mine


def plus_plus(case: Case, where: str) -> Iterator[Line]:
    """An epsilon that drowns the rest, and an alpha that is never applied."""
    paper = case.paper(paper_formulas.gradcam_plus_plus)
    mine = distance(case.ours("gradcam++"), paper)
    for take, name, how in (
        (jacobgil, "GradCAMPlusPlus", "adds 1e-6 to the denominator"),
        (frgfm, "GradCAMpp", "never applies α"),
    ):
        theirs = distance(case.library(take, name), paper)
        yield "gradcam++", LIBRARIES[take], how, where, theirs, mine


def principal(case: Case, where: str) -> Iterator[Line]:
    """Centred, and without a sign."""
    product = case.gradients * case.activations
    for method, name, tensor, towards in (
        ("eigencam", "EigenCAM", case.activations, case.activations.abs()),
        ("eigengradcam", "EigenGradCAM", product, product),
    ):
        paper = paper_formulas.first_component(tensor.numpy())
        # the better of the two signs, so that ours cannot profit from its own
        paper = paper * np.sign((paper * towards.sum(dim=0).numpy()).sum())
        theirs = case.library(jacobgil, name)
        mine = distance(case.ours(method), paper)
        library = LIBRARIES[jacobgil]
        yield method, library, "centred, any sign", where, distance(theirs, paper), mine
        flipped = min(distance(theirs, paper), distance(-theirs, paper))
        yield method, library, "the same with the better sign", where, flipped, mine


def signs(draws: int) -> str:
    """How often pytorch-grad-cam's EigenCAM has the object negative."""
    negative = 0
    for seed in range(draws):
        generator = torch.Generator().manual_seed(seed)
        activations = torch.randn((64, 7, 7), generator=generator).relu() * 0.2
        activations[:, 2:5, 2:5] += torch.randn((64, 1, 1), generator=generator).abs()
        negative += bool(jacobgil_of("EigenCAM", activations, activations)[2:5, 2:5].mean() < 0)
    return (
        f"EigenCAM in {LIBRARIES[jacobgil]}: the object is negative in {negative} of {draws} draws"
    )


def scorecam(case: Case, where: str) -> Iterator[Line]:
    """Masks that are aligned by their corners, or scaled before they are upsampled."""
    network = case.network.double()
    size = case.picture.shape[1:]
    scores = []
    for channel in case.activations:
        mask = F.interpolate(channel[None, None], size, mode="bilinear")[0, 0]
        mask = mask - mask.min()
        mask = mask / mask.max() if mask.max() > 0 else mask
        scores.append(network((mask * case.picture)[None])[0, case.index])
    weights = torch.stack(scores).softmax(dim=0)
    paper = torch.einsum("k,kij->ij", weights, case.activations)
    network.float()
    one_hot = torch.eye(10)[[case.index]]
    mine = run_scorecam(case.picture, case.activations.float(), network, one_hot, 32)[0]
    for take, how in (
        (jacobgil, "masks aligned by corners"),
        (frgfm, "masks scaled, then enlarged"),
    ):
        theirs = distance(case.library(take, "ScoreCAM"), paper)
        yield "scorecam", LIBRARIES[take], how, where, theirs, distance(mine, paper)


def ablationcam(case: Case, how: str, where: str) -> Iterator[Line]:
    """Signed layers are not ablated with zero."""

    def head(maps: Tensor) -> Tensor:
        module = case.network.get_submodule(case.layer)
        handle = module.register_forward_hook(lambda *_call: maps)
        logits: Tensor = case.network(case.picture.expand(len(maps), -1, -1, -1).to(maps))
        handle.remove()
        return logits

    case.network.double()
    whole = head(case.activations[None])[0, case.index]
    paper = torch.zeros_like(case.activations[0])
    for k, channel in enumerate(case.activations):
        less = case.activations[None].clone()
        less[0, k] = 0
        paper += (whole - head(less)[0, case.index]) / whole * channel
    case.network.float()
    one_hot = torch.eye(10)[[case.index]]
    mine = distance(run_ablationcam(case.activations.float(), head, one_hot, 32)[0], paper)
    theirs = distance(case.library(jacobgil, "AblationCAM"), paper)
    yield "ablationcam", LIBRARIES[jacobgil], how, where, theirs, mine


def cam(case: Case, where: str) -> Iterator[Line]:
    """Right until it is scaled: then the least evidence against a class becomes evidence for it."""
    row = case.network.get_parameter("fc.weight")[case.index].double().numpy()
    paper = paper_formulas.cam(case.activations.numpy(), row)
    mine = distance(case.ours("cam"), paper)
    raw = case.library(frgfm, "CAM")
    yield "cam", LIBRARIES[frgfm], "before its scaling", where, distance(raw, paper), mine
    shown = frgfm("CAM", case.network, case.layer, case.picture, case.index, normalized=True)
    how = "as it is given out: no ReLU, min-max"
    yield "cam", LIBRARIES[frgfm], how, where, distance(shown, paper), mine


def in_place(case: Case, where: str) -> Iterator[Line]:
    """The layer's output is overwritten by the ReLU that follows it."""
    paper = case.paper(paper_formulas.gradcam)
    mine = distance(case.ours("gradcam"), paper)
    for take in ((jacobgil, "GradCAM"), (frgfm, "GradCAM"), (captum,)):
        how = "as the paper" if take[0] is captum else "keeps what is overwritten in place"
        theirs = distance(case.library(*take), paper)
        yield "gradcam", LIBRARIES[take[0]], how, where, theirs, mine


LIBRARIES = {jacobgil: "pytorch-grad-cam", frgfm: "torch-cam", captum: "captum"}


def disagreements() -> Iterator[Line]:
    """The first table: the libraries."""
    cat, where = demo(CAT), "demo, cat"
    yield from agreeing(cat, where)
    yield from plus_plus(cat, where)
    for layer in ("layer4", "layer3", "layer2"):
        yield from plus_plus(random_network("resnet18", layer), f"resnet18, random, {layer}")
    yield from principal(cat, where)
    yield from cam(cat, where)
    yield from cam(demo(AIRPLANE), "demo, airplane")
    yield from scorecam(cat, where)
    yield from ablationcam(cat, "as the paper", where)
    how = "signed layers: not 0 but least - 1e7"
    yield from ablationcam(demo(CAT, SIGNED), how, f"demo, cat, {SIGNED}")
    for name, layer in (("densenet121", "features"), ("vgg11", "features.18")):
        yield from in_place(random_network(name, layer), f"{name}, random")


def departures() -> Iterator[Line]:
    """The second table: where ours departs from a paper's letter, and a library keeps it."""
    yield from ablationcam(demo(AIRPLANE), "the logit is negative", "demo, airplane")
    signed = (
        (demo(CAT, SIGNED), f"demo, cat, {SIGNED}"),
        (random_network("densenet121", "features"), "densenet121, random, features"),
        (random_network("convnext_tiny", "features"), "convnext_tiny, random, features"),
    )
    for case, where in signed:
        sums = case.activations.sum(dim=(1, 2), keepdim=True)
        beyond = (case.gradients * sums < -1)[case.gradients > 0].double()
        paper = case.paper(paper_formulas.gradcam_plus_plus)
        theirs = distance(jacobgil_of("GradCAMPlusPlus", case.activations, case.gradients), paper)
        how = f"α held in {float(beyond.mean()):.1%} of the positive cells"
        mine = distance(case.ours("gradcam++"), paper)
        yield "gradcam++", LIBRARIES[jacobgil], how, where, theirs, mine
        held = (sums.abs() < case.activations.abs().sum(dim=(1, 2), keepdim=True) / 1000).double()
        paper = case.paper(paper_formulas.xgradcam)
        theirs = distance(jacobgil_of("XGradCAM", case.activations, case.gradients), paper)
        how = f"mean gradient in {float(held.mean()):.1%} of the channels"
        mine = distance(case.ours("xgradcam"), paper)
        yield "xgradcam", LIBRARIES[jacobgil], how, where, theirs, mine


def show(table: Iterator[Line]) -> None:
    """Prints it in Markdown."""
    print("| method | library | how | where | library | ours |\n|---|---|---|---|---|---|")
    for method, library, how, where, theirs, mine in table:
        row = f"| `{method}` | {library} | {how} | {where} | {theirs:.1g} | {mine:.1g} |"
        print(row, flush=True)
    print()


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=40, help="for EigenCAM's sign (default: 40)")
    return parser


def main() -> None:
    """Prints the tables."""
    arguments = build_parser().parse_args()
    logging.getLogger("torchcam").setLevel(logging.ERROR)
    show(disagreements())
    show(departures())
    print(signs(arguments.draws))


if __name__ == "__main__":
    main()
