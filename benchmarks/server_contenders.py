"""Who is measured, and what each is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from load import Shot

OURS, STOCK = "ours", "stock"

_OVERLAY = {"X-Explain-Overlay": "jpeg"}


@dataclass(frozen=True)
class Contender:
    """A question to a handler.

    Attributes:
        handler: ``ours``, a variant of ours, or one of the peers.
        asked: What, in a word or two.
        verb: ``predictions`` or ``explanations``.
        headers: The options.
        map_of: What its maps are, whose shape is one for all of a model's contenders.
        dear: Whether a batch takes so long that a few rounds of it must do.
    """

    handler: str
    asked: str
    verb: str
    headers: Mapping[str, str] = field(default_factory=dict)
    map_of: str = "a grid of the layer"
    dear: bool = False

    @property
    def name(self) -> str:
        """For tables and flags."""
        return f"{self.handler} {self.asked}"

    def archive(self, model: str) -> str:
        """The name under which its archive of this model is served."""
        return f"{model}-{self.handler}"

    def shots(self, url: str, model: str, photographs: Sequence[bytes]) -> list[Shot]:
        """One for each photograph, to the server at ``url``."""
        headers = {"Content-Type": "image/jpeg", **self.headers}
        path = f"{url}/{self.verb}/{self.archive(model)}"
        return [Shot(path, photograph, headers) for photograph in photographs]


def ours(handler: str = OURS) -> list[Contender]:
    """What our handler, or a variant of it, is asked."""
    return [
        Contender(handler, "predictions", "predictions"),
        Contender(handler, "grid", "explanations"),
        Contender(handler, "overlay", "explanations", _OVERLAY),
    ]


FIVE_TARGETS = Contender(OURS, "five targets", "explanations", {"X-Explain-Target": "top5"})
STOCK_PREDICTIONS = Contender(STOCK, "predictions", "predictions")

PEER_EXPLANATIONS = (
    Contender(STOCK, "explanations", "explanations", map_of="attributions", dear=True),
    Contender("pytorch-grad-cam", "map", "explanations", map_of="a map of the input"),
    Contender("pytorch-grad-cam", "overlay", "explanations", _OVERLAY),
    Contender("torch-cam", "map", "explanations"),
    Contender("torch-cam", "overlay", "explanations", _OVERLAY),
)
