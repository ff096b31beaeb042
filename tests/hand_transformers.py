"""Small networks that work on tokens, each with one peculiarity; ``[N, 3, H, W]`` to 5 logits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Read = Callable[[Tensor], Tensor]


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention in one operation."""
    return F.scaled_dot_product_attention(query, key, value)


def spelled_out(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as two matrix products with a softmax between them."""
    scores = torch.matmul(query, key.transpose(-2, -1)) * query.shape[-1] ** -0.5
    return torch.matmul(scores.softmax(dim=-1), value)


def first_token(tokens: Tensor) -> Tensor:
    """What a class token says."""
    return tokens[:, 0]


def mean_of(skipped: int) -> Read:
    """The mean over the cells."""
    return lambda tokens: tokens[:, skipped:].mean(dim=1)


class Attention(nn.Module):
    """Two heads with normalised queries and keys, as large vision transformers have them."""

    def __init__(self, width: int, attend: Attend) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // 2)
        self.k_norm = nn.LayerNorm(width // 2)
        self.proj = nn.Linear(width, width)
        self._attend = attend

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        mixed = self._attend(self.q_norm(query), self.k_norm(key), value)
        projected: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """Attention and a small network, with a residual around each."""

    def __init__(self, width: int, attend: Attend) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, attend)
        self.norm2, self.mlp = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + F.gelu(self.mlp(self.norm2(x)))
        return out


class Transformer(nn.Module):
    """Patches of 3 × 3 pixels become cells; ``skipped`` tokens stand before them."""

    def __init__(
        self,
        skipped: int = 1,
        read: Read = first_token,
        attend: Attend = fused,
        width: int = 8,
        *,
        trailing: int = 0,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 3, stride=3)
        self.extra = nn.Parameter(torch.zeros(1, skipped + trailing + 1, width))
        self.blocks = nn.Sequential(Block(width, attend), Block(width, attend))
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, 5)
        self._counts, self._read = [skipped, trailing, 1], read

    def forward(self, x: Tensor) -> Tensor:
        cells = self.embed(x).flatten(2).transpose(1, 2)
        extra = self.extra.expand(len(x), -1, -1)
        leading, trailing, _ = torch.split(extra, self._counts, dim=1)
        tokens = torch.cat([leading, cells, trailing], dim=1)
        logits: Tensor = self.fc(self._read(self.norm(self.blocks(tokens))))
        return logits


class Unfolding(nn.Module):
    """Cuts patches without a convolution, so that the first tensor of a layer is tokens."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(3 * side * side, 8), nn.LayerNorm(8)
        self.fc = nn.Linear(8, 5)
        self._side = side

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self._side, stride=self._side).transpose(1, 2)
        logits: Tensor = self.fc(self.norm(self.embed(patches)).mean(dim=1))
        return logits


class ChannelsLast(nn.Module):
    """A convolution whose output is turned to ``[N, H, W, C]`` and normalised there."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, channels, 3, padding=1), nn.LayerNorm(channels)
        self.fc = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x).permute(0, 2, 3, 1))
        logits: Tensor = self.fc(x.mean(dim=(1, 2)))
        return logits


class Windows(nn.Module):
    """Works on windows of 3 × 3 cells: folded into the batch, or as an axis of their own."""

    def __init__(self, *, folded: bool) -> None:
        super().__init__()
        self.conv, self.mix, self.last = nn.Conv2d(3, 6, 1), nn.Linear(6, 6), nn.ReLU()
        self.fc = nn.Linear(6, 5)
        self._folded = folded

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        count, channels, height, width = x.shape
        rows, columns = height // 3, width // 3
        windows = x.view(count, channels, rows, 3, columns, 3).permute(0, 2, 4, 3, 5, 1)
        windows = windows.reshape(count, rows * columns, 9, channels)
        mixed = self.mix(windows.flatten(0, 1) if self._folded else windows)
        mixed = mixed.view(count, rows, columns, 3, 3, channels).permute(0, 5, 1, 3, 2, 4)
        logits: Tensor = self.fc(self.last(mixed.reshape(x.shape)).mean(dim=(2, 3)))
        return logits


class Encoder(nn.Module):
    """PyTorch's own encoder on patches of 3 × 3 pixels and a class token."""

    def __init__(self, *, norm_first: bool, batch_first: bool = True) -> None:
        super().__init__()
        self.embed, self.extra = nn.Conv2d(3, 8, 3, stride=3), nn.Parameter(torch.zeros(1, 1, 8))
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, batch_first=batch_first, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 5)
        self._batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        cells = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.extra.expand(len(x), -1, -1), cells], dim=1)
        if not self._batch_first:
            tokens = tokens.transpose(0, 1)
        mixed = self.encoder(tokens)
        logits: Tensor = self.fc(mixed[:, 0] if self._batch_first else mixed[0])
        return logits


class Shuffled(nn.Module):
    """Averages tokens that are put in another order on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.early, self.late = nn.Conv2d(3, 8, 3, stride=3), nn.ReLU(), nn.Linear(8, 8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.early(self.embed(x).flatten(2).transpose(1, 2))
        order = torch.arange(tokens.shape[1]).view(4, -1).t().flatten()
        logits: Tensor = self.fc(self.late(tokens[:, order]).mean(dim=1))
        return logits
