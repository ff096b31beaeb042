"""The measures by name: what the tables, the plots and the result call them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Measure:
    """One number about a way to make maps.

    Attributes:
        title: For tables and plots.
        higher_is_better: Or lower.
        asks: What it asks, in plain words.
    """

    title: str
    higher_is_better: bool
    asks: str

    @property
    def heading(self) -> str:
        """The title with an arrow that points to what is better."""
        return f"{self.title} {'↑' if self.higher_is_better else '↓'}"


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "grid_pointing": Measure(
            "grid pointing", True, "of several pictures side by side, does it find the right one?"
        ),
        "box_energy": Measure("energy in box", True, "does it lie on the thing?"),
        "road": Measure(
            "ROAD", True, "does the class live where the map is, and not where it is not?"
        ),
        "deletion": Measure("deletion", False, "does the class die when the map's pixels go?"),
        "insertion": Measure("insertion", True, "does the class come with the map's pixels?"),
        "average_drop": Measure(
            "average drop", False, "how much of the class is lost if only the map's part is shown?"
        ),
        "increase": Measure(
            "increase", True, "how often is the class surer if only the map's part is shown?"
        ),
        "rank_correlation": Measure(
            "forgetting: rank correlation",
            False,
            "how alike does the map stay while the network forgets, stage by stage?",
        ),
        "similarity": Measure(
            "forgetting: SSIM", False, "the same question, asked of the map as a picture"
        ),
    }
)
"""Every measure by the name that the result uses, in the tables' order."""
