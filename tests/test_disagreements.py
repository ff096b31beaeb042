"""Where pytorch-grad-cam, torch-cam and captum agree with the papers, and where they do not.

In each test of the second kind the library is shown to compute what the test says it does, and ours
to be the paper's. docs/methods.md has the table; benchmarks/disagreements.py measures it on real
networks.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

import paper_formulas
from gradcam.engine.perturbation import run_ablationcam, run_scorecam
from gradcam.methods import METHODS
from hand_networks import Classifier, OneConv, frozen, pictures, two_stages
from library_maps import captum, distance, exact_tensors, frgfm, jacobgil, jacobgil_of

LAYER, INDEX = "body.5", 3
ROUNDING = 1e-7
"""Both libraries add about 1e-8 to what they divide by."""


def network_of(seed: int = 0) -> nn.Module:
    """Two stages, the second of which (after its ReLU) is explained, a convolution and a head."""
    behind = nn.Sequential(nn.Conv2d(6, 6, 3), nn.ReLU())
    return frozen(Classifier(nn.Sequential(*two_stages(inplace=False), *behind)), seed).double()


NETWORK = network_of()
PICTURE = pictures(1, 22)[0].double()
ACTIVATIONS, GRADIENTS = exact_tensors(NETWORK, LAYER, PICTURE, INDEX)
GAP = frozen(Classifier(two_stages(inplace=False))).double()
"""Ends in mean pooling and one linear layer, for CAM."""


def ours(method: str, activations: Tensor, gradients: Tensor) -> paper_formulas.Array:
    compute = METHODS[method].compute
    assert compute
    return np.asarray(compute(activations[None], gradients[None])[0].numpy())


def drawn(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("gradcam", "GradCAM"),
        ("hirescam", "HiResCAM"),
        ("gradcam_elementwise", "GradCAMElementWise"),
        ("layercam", "LayerCAM"),
        ("xgradcam", "XGradCAM"),
    ],
)
def test_pytorch_grad_cam_agrees(method: str, name: str) -> None:
    found = ours(method, ACTIVATIONS, GRADIENTS)

    theirs = jacobgil(name, NETWORK, LAYER, PICTURE, INDEX)

    assert np.abs(theirs - found).max() < 1e-6 * np.abs(found).max()


@pytest.mark.parametrize(
    ("method", "name"),
    [("gradcam", "GradCAM"), ("layercam", "LayerCAM"), ("xgradcam", "XGradCAM")],
)
def test_torch_cam_agrees(method: str, name: str) -> None:
    found = ours(method, ACTIVATIONS, GRADIENTS)

    theirs = frgfm(name, NETWORK, LAYER, PICTURE, INDEX)

    assert found.max() > 0
    assert np.abs(theirs - np.maximum(found, 0)).max() < 1e-6 * np.abs(found).max()


def test_captum_agrees() -> None:
    found = ours("gradcam", ACTIVATIONS, GRADIENTS)

    theirs = captum(NETWORK, LAYER, PICTURE, INDEX)

    np.testing.assert_allclose(theirs, found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("index", range(5))
def test_torch_cams_cam_agrees_before_it_is_scaled(index: int) -> None:
    found = ours("cam", *exact_tensors(GAP, "body", PICTURE, index))

    theirs = frgfm("CAM", GAP, "body", PICTURE, index)

    np.testing.assert_allclose(theirs, found, rtol=1e-9, atol=1e-12)


def test_torch_cams_cam_makes_evidence_where_there_is_none() -> None:
    """No ReLU, then min-max: the place that speaks least against the class becomes 1."""
    against = frozen(Classifier(two_stages(inplace=False))).double()
    weights = against.get_parameter("fc.weight")
    weights[INDEX] = -weights[INDEX].abs()

    theirs = frgfm("CAM", against, "body", PICTURE, INDEX, normalized=True)

    assert theirs.max() == pytest.approx(1, abs=1e-6)
    assert ours("cam", *exact_tensors(against, "body", PICTURE, INDEX)).max() <= 0


@pytest.mark.parametrize(("scale", "least"), [(1.0, 1e-5), (1e-2, 0.4), (1e-4, 0.95)])
def test_pytorch_grad_cams_epsilon_drowns_grad_cam_plus_plus(scale: float, least: float) -> None:
    """It adds 1e-6 to ``2g² + S·g³``; gradients of real networks are around 1e-3.

    The left half is a channel with one strong gradient, the right half one with sixteen of a
    sixteenth of that. By the paper the right one counts four times as much, or as much where
    gradients are small; with an epsilon that outweighs the rest they count by ``Σ g³``, 256 to 1.
    """
    activations = torch.zeros((2, 4, 4), dtype=torch.float64)
    activations[0, :, :2] = activations[1, :, 2:] = 1
    gradients = torch.full((2, 4, 4), scale / 16, dtype=torch.float64)
    gradients[0] = 0
    gradients[0, 1, 1] = scale
    paper = paper_formulas.gradcam_plus_plus(activations.numpy(), gradients.numpy())

    theirs = jacobgil_of("GradCAMPlusPlus", activations, gradients)

    assert distance(theirs, paper) > least
    assert distance(ours("gradcam++", activations, gradients), paper) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_torch_cams_grad_cam_plus_plus_never_applies_alpha(seed: int) -> None:
    """It divides a copy and drops it, so that its weights are ``Σ g²·ReLU(g)``."""
    network = network_of(seed)
    activations, gradients = exact_tensors(network, LAYER, PICTURE, INDEX)
    paper = paper_formulas.gradcam_plus_plus(activations.numpy(), gradients.numpy())
    cubes = (gradients**2 * gradients.clamp(min=0)).sum(dim=(1, 2))

    theirs = frgfm("GradCAMpp", network, LAYER, PICTURE, INDEX)

    assert distance(theirs, torch.einsum("k,kij->ij", cubes, activations)) < ROUNDING
    assert distance(theirs, paper) > 0.01
    assert distance(ours("gradcam++", activations, gradients), paper) < 1e-12


def test_xgradcam_explodes_in_the_library_where_activations_cancel() -> None:
    activations = drawn((3, 4, 4))
    activations[0] -= activations[0].mean() - 1e-9  # sums to 1.6e-8
    gradients = drawn((3, 4, 4), 1)

    theirs = jacobgil_of("XGradCAM", activations, gradients)

    bound = float((gradients.abs().amax(dim=(1, 2), keepdim=True) * activations.abs()).sum(0).max())
    assert np.abs(theirs).max() > 1e5 * bound
    assert np.abs(ours("xgradcam", activations, gradients)).max() <= bound


def test_pytorch_grad_cams_eigencam_has_whatever_sign_comes_out() -> None:
    """An object with strong activations on a weak background, after a ReLU."""
    negative = 0
    for seed in range(20):
        activations = drawn((16, 6, 6), seed).relu() * 0.2
        activations[:, 2:4, 2:4] += drawn((16, 1, 1), seed + 50).abs()
        theirs = jacobgil_of("EigenCAM", activations, activations)
        negative += bool(theirs[2:4, 2:4].mean() < 0)

        assert ours("eigencam", activations, activations)[2:4, 2:4].min() > 0
    assert negative >= 5, "or the library has learnt a sign"


@pytest.mark.parametrize(
    ("method", "name"), [("eigencam", "EigenCAM"), ("eigengradcam", "EigenGradCAM")]
)
def test_pytorch_grad_cam_centres_before_the_decomposition(method: str, name: str) -> None:
    """The paper does not. Theirs has a mean of zero, so half of an object is against itself."""
    theirs = jacobgil_of(name, ACTIVATIONS, GRADIENTS)

    product = ACTIVATIONS if method == "eigencam" else GRADIENTS * ACTIVATIONS
    centred = product - product.mean(dim=(1, 2), keepdim=True)
    as_told = paper_formulas.first_component(centred.numpy())
    paper = paper_formulas.first_component(product.numpy())
    found = ours(method, ACTIVATIONS, GRADIENTS)
    assert min(distance(theirs, as_told), distance(theirs, -as_told)) < 1e-6
    assert min(distance(found, paper), distance(found, -paper)) < 1e-9
    assert distance(theirs, found) > 0.05
    assert distance(-theirs, found) > 0.05


def score_cam(masks: Callable[[Tensor], Tensor]) -> Tensor:
    """The weighted sum that the order and the kind of these masks gives."""
    scores = torch.stack(
        [
            NETWORK((masks(channel[None, None])[0] * PICTURE)[None])[0, INDEX]
            for channel in ACTIVATIONS
        ]
    )
    return torch.einsum("k,kij->ij", scores.softmax(dim=0), ACTIVATIONS)


def stretched(values: Tensor) -> Tensor:
    values = values - values.min()
    return values / values.max() if values.max() > 0 else values


def test_score_cam_of_both_libraries_makes_other_masks() -> None:
    size, one_hot = PICTURE.shape[1:], torch.eye(5)[[INDEX]]
    paper = score_cam(lambda channel: stretched(F.interpolate(channel, size, mode="bilinear")))
    found = run_scorecam(PICTURE, ACTIVATIONS, NETWORK, one_hot, 8)[0]

    aligned = score_cam(
        lambda channel: stretched(F.interpolate(channel, size, mode="bilinear", align_corners=True))
    )
    before = score_cam(lambda channel: F.interpolate(stretched(channel), size, mode="bilinear"))
    first = jacobgil("ScoreCAM", NETWORK, LAYER, PICTURE, INDEX)
    second = frgfm("ScoreCAM", NETWORK, LAYER, PICTURE, INDEX)

    torch.testing.assert_close(found, paper)
    for theirs, as_told in ((first, aligned), (second, before)):
        told = np.abs(theirs - as_told.numpy()).max()
        assert told < ROUNDING
        assert np.abs(theirs - paper.numpy()).max() > 10 * told


def ablation(network: nn.Module, layer: str, index: int) -> tuple[Tensor, float]:
    """Ours, and the logit."""
    activations, _ = exact_tensors(network, layer, PICTURE, index)

    def head(maps: Tensor) -> Tensor:
        handle = network.get_submodule(layer).register_forward_hook(lambda *_call: maps)
        logits: Tensor = network(PICTURE.expand(len(maps), -1, -1, -1))
        handle.remove()
        return logits

    found = run_ablationcam(activations, head, torch.eye(5)[[index]], 8)[0]
    return found, float(head(activations[None])[0, index])


@pytest.mark.parametrize("index", range(5))
def test_pytorch_grad_cams_ablation_cam_turns_over_where_the_logit_is_negative(index: int) -> None:
    """So does the paper's formula to the letter, which it follows; ours divides by ``|y|``."""
    found, logit = ablation(NETWORK, LAYER, index)

    theirs = jacobgil("AblationCAM", NETWORK, LAYER, PICTURE, index)

    np.testing.assert_allclose(theirs, np.sign(logit) * found.numpy(), rtol=1e-4, atol=1e-6)


def test_the_five_logits_have_both_signs() -> None:
    """Or the test above would show nothing."""
    logits = NETWORK(PICTURE[None])[0]

    assert (logits.min() < 0, logits.max() > 0) == (True, True)


def test_pytorch_grad_cams_ablation_cam_does_not_set_channels_of_signed_layers_to_zero() -> None:
    """It sets them to ten million below the least activation, and says so."""
    found, _ = ablation(NETWORK, "body.3", INDEX)

    theirs = jacobgil("AblationCAM", NETWORK, "body.3", PICTURE, INDEX)

    assert np.abs(theirs).max() > 1e4 * float(found.abs().max())


def test_both_libraries_explain_what_an_in_place_operation_left_behind() -> None:
    """captum's network with its ReLU in place; see tests/test_engine.py for the arithmetic."""
    network = OneConv(inplace=True)
    picture = torch.zeros(3, 4, 4)
    picture[0] = torch.arange(16.0).view(4, 4)
    truth = ours("gradcam", *exact_tensors(network, "conv1", picture, 0))

    assert truth.ravel().tolist() == [11.25, 13.5, 20.25, 22.5]
    assert jacobgil("GradCAM", network, "conv1", picture, 0).ravel().tolist() == [0, 3, 20.25, 22.5]
    assert frgfm("GradCAM", network, "conv1", picture, 0).ravel().tolist() == [0, 4, 28, 32.5]
    assert captum(network, "conv1", picture, 0).ravel().tolist() == truth.ravel().tolist()
