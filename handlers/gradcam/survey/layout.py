"""How a layer's tensor holds its map: where the channels are, and which tokens are cells.

Whatever the layout, a CAM method sees ``[N, C, H, W]``; ``to_maps`` and ``from_maps`` are each
other's inverse.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gradcam.errors import UnusableLayer


@dataclass(frozen=True)
class Layout:
    """The meaning of a tensor's axes.

    Attributes:
        kind: ``channels_first`` is ``[N, C, H, W]``, ``channels_last`` is ``[N, H, W, C]`` and
            ``tokens`` is ``[N, T, C]``: first ``skipped`` tokens that are no cells, then
            ``height · width`` cells, row by row.
        skipped: Leading class and register tokens. Only tokens have any.
        height: Of the token grid; 0 in the other layouts, whose tensors carry their size.
        width: Likewise.
    """

    kind: Literal["channels_first", "channels_last", "tokens"]
    skipped: int = 0
    height: int = 0
    width: int = 0

    def to_maps(self, tensor: Tensor) -> Tensor:
        """The cells of a layer's activation, or of its gradient, as maps.

        Args:
            tensor: In this layout, any dtype.

        Returns:
            ``[N, C, H, W]``, where possible a view of the tensor.

        Raises:
            UnusableLayer: There are more or fewer tokens than the layout has.
        """
        if self.kind == "channels_first":
            return tensor
        if self.kind == "channels_last":
            return tensor.permute(0, 3, 1, 2)
        self._check_tokens(tensor)
        cells = tensor[:, self.skipped :].transpose(1, 2)
        return cells.reshape(*cells.shape[:2], self.height, self.width)

    def from_maps(self, maps: Tensor, like: Tensor) -> Tensor:
        """Maps as a tensor of the layer's own shape.

        Args:
            maps: ``[N, C, H, W]``.
            like: In this layout, with as many rows; class and register tokens are taken from it.

        Returns:
            Of the shape of ``like``.

        Raises:
            UnusableLayer: ``like`` has more or fewer tokens than the layout has.
        """
        if self.kind == "channels_first":
            return maps
        if self.kind == "channels_last":
            return maps.permute(0, 2, 3, 1)
        self._check_tokens(like)
        cells = maps.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.cat([like[:, : self.skipped].to(cells.dtype), cells], dim=1)

    def _check_tokens(self, tensor: Tensor) -> None:
        expected = self.skipped + self.height * self.width
        if tensor.dim() != 3 or tensor.shape[1] != expected:
            raise UnusableLayer(
                f"the layer gives a tensor of shape {list(tensor.shape)} here, not {expected} "
                f"tokens ({self.skipped} + {self.height}×{self.width}) as when the network was "
                "surveyed; send pictures of the surveyed size, or name a layer without tokens"
            )


CHANNELS_FIRST = Layout("channels_first")
CHANNELS_LAST = Layout("channels_last")
