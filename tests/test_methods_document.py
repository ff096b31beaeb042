"""docs/methods.md and README.md say what the registry says."""

from gradcam.engine.perturbation import passes
from gradcam.methods import METHODS
from repository import ROOT

PRICES = {"0": (0, 0), "C + 1": (1, 1)}
"""What the cell says, as a multiple of the channels and a constant."""


def rows() -> list[list[str]]:
    """The cells of the first table."""
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    table = text[text.index("| method |") :].split("\n\n")[0].splitlines()[2:]
    # a bar inside a formula is written \|
    return [
        [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in table
    ]


def test_the_document_lists_every_method_in_order() -> None:
    assert [row[0].strip("`") for row in rows()] == list(METHODS)


def test_the_document_has_summary_paper_needs_and_price() -> None:
    for name, _formula, summary, paper, needs, price in rows():
        method = METHODS[name.strip("`")]
        assert (summary, paper, needs) == (method.summary, method.paper, method.needs.value)
        factor, constant = PRICES[price]
        for channels in (1, 512):
            assert passes(name.strip("`"), channels) == factor * channels + constant


def test_the_readme_lists_every_method() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `method` |")]

    assert [part.strip(" `") for part in row.split("|")[2].split(",")] == list(METHODS)
