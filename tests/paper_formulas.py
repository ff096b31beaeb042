"""Each paper's formula, written out as printed, in float64; nothing here comes from ``gradcam``.

``A`` and ``g`` are ``[C, h, w]``, maps ``[h, w]``, before the final ReLU.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def gradcam(A: Array, g: Array) -> Array:  # noqa: N803 - the papers' letters
    channels, height, width = A.shape
    result = np.zeros((height, width))
    for k in range(channels):
        weight = sum(g[k, i, j] for i in range(height) for j in range(width)) / (height * width)
        result += weight * A[k]
    return result


def cam(A: Array, row: Array) -> Array:  # noqa: N803
    """``row``: the linear layer's weights for the class, ``[C]``."""
    return np.asarray(np.einsum("k,kij->ij", row, A))


def hirescam(A: Array, g: Array) -> Array:  # noqa: N803
    return np.asarray(np.einsum("kij,kij->ij", g, A))


def gradcam_elementwise(A: Array, g: Array) -> Array:  # noqa: N803
    return np.asarray(sum(np.where(g[k] * A[k] > 0, g[k] * A[k], 0) for k in range(len(A))))


def gradcam_plus_plus(A: Array, g: Array) -> Array:  # noqa: N803
    """Equation 19, powers and all."""
    channels, height, width = A.shape
    result = np.zeros((height, width))
    for k in range(channels):
        weight = 0.0
        for i in range(height):
            for j in range(width):
                if g[k, i, j] != 0:
                    second, third = g[k, i, j] ** 2, g[k, i, j] ** 3
                    alpha = second / (2 * second + A[k].sum() * third)
                    weight += alpha * max(g[k, i, j], 0.0)
        result += weight * A[k]
    return result


def xgradcam(A: Array, g: Array) -> Array:  # noqa: N803
    result = np.zeros(A.shape[1:])
    for k in range(len(A)):
        if A[k].any():  # a silent channel adds nothing, whatever its weight
            result += (g[k] * A[k] / A[k].sum()).sum() * A[k]
    return result


def layercam(A: Array, g: Array) -> Array:  # noqa: N803
    return np.asarray(np.einsum("kij,kij->ij", np.where(g > 0, g, 0), A))


def first_component(tensor: Array) -> Array:
    """``O·V_1`` by a full decomposition, with whatever sign that gives."""
    matrix = tensor.reshape(len(tensor), -1).T
    _, _, directions = np.linalg.svd(matrix, full_matrices=True)
    return np.asarray((matrix @ directions[0]).reshape(tensor.shape[1:]))
