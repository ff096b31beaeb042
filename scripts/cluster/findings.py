"""What was expected, what was seen, and the table of it."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Seen:
    """What one check saw.

    Attributes:
        verdict: What that means.
        text: What was seen, or why nothing could be.
    """

    verdict: Verdict
    text: str


def passed(text: str) -> Seen:
    """It is as expected."""
    return Seen(Verdict.PASSED, text)


def failed(text: str) -> Seen:
    """It is not."""
    return Seen(Verdict.FAILED, text)


def not_checked(why: str) -> Seen:
    """It could not be looked at, which is not the same as being right."""
    return Seen(Verdict.NOT_CHECKED, why)


def judged(wrong: Sequence[str], right: str) -> Seen:
    """Passed with ``right`` if nothing is wrong, failed with all that is otherwise."""
    return failed("; ".join(wrong)) if wrong else passed(right)


@dataclass(frozen=True)
class Finding:
    """A line of the table.

    Attributes:
        name: Of the check.
        expected: In a few words.
        verdict: How it ended.
        seen: What was seen.
        seconds: How long it took.
    """

    name: str
    expected: str
    verdict: Verdict
    seen: str
    seconds: float


def table(findings: Sequence[Finding], width: int = 110) -> str:
    """All findings for a terminal of so many columns: name, verdict, what was expected and seen."""
    names = max((len(finding.name) for finding in findings), default=0)
    verdicts = max(len(verdict) for verdict in Verdict)
    indent = " " * (names + verdicts + 4)
    lines = []
    for finding in findings:
        head = f"{finding.name:<{names}}  {finding.verdict:<{verdicts}}  "
        lines += _wrapped(f"expected: {finding.expected}", width, head, indent)
        lines += _wrapped(f"seen: {finding.seen}", width, indent, indent)
    return "\n".join(lines)


def summary(findings: Sequence[Finding]) -> str:
    """How many of each verdict there are."""
    counts = ((sum(one.verdict is verdict for one in findings), verdict) for verdict in Verdict)
    return ", ".join(f"{count} {verdict.lower()}" for count, verdict in counts)


def exit_status(findings: Sequence[Finding]) -> int:
    """1 if a check failed or if none passed, else 0: what was not looked at proves nothing."""
    verdicts = {finding.verdict for finding in findings}
    return int(Verdict.FAILED in verdicts or Verdict.PASSED not in verdicts)


def as_document(findings: Sequence[Finding], about: dict[str, Any]) -> dict[str, Any]:
    """For JSON: what was checked, then every finding."""
    return {**about, "findings": [asdict(finding) for finding in findings]}


def _wrapped(text: str, width: int, first: str, further: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        initial_indent=first,
        subsequent_indent=further,
        break_on_hyphens=False,
    )
