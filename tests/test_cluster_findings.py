"""Verdicts become a table, a document and an exit status."""

import json

import pytest

from cluster.findings import (
    Finding,
    Seen,
    Verdict,
    as_document,
    exit_status,
    failed,
    judged,
    not_checked,
    passed,
    summary,
    table,
)

GOOD = Finding("explains", "200 with the key", Verdict.PASSED, "200", 0.4)
BAD = Finding("eviction", "no request is lost", Verdict.FAILED, "2 of 90 were lost " * 12, 61.0)
OPEN = Finding("autoscaler", "a further replica", Verdict.NOT_CHECKED, "no metrics", 0.1)


def test_a_table_says_of_every_check_what_was_expected_and_seen() -> None:
    lines = table([GOOD, BAD, OPEN], width=80).splitlines()

    assert lines[0] == "explains    passed       expected: 200 with the key"
    assert lines[1] == "                         seen: 200"
    assert lines[2].startswith("eviction    FAILED       expected: no request is lost")
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert text.count("2 of 90 were lost") == 12
    assert "autoscaler not checked expected: a further replica seen: no metrics" in text


@pytest.mark.parametrize(
    ("findings", "status"),
    [([GOOD], 0), ([GOOD, OPEN], 0), ([GOOD, BAD], 1), ([OPEN], 1), ([], 1)],
)
def test_what_was_not_checked_is_never_a_success(findings: list[Finding], status: int) -> None:
    assert exit_status(findings) == status


def test_a_summary_counts_each_verdict() -> None:
    assert summary([GOOD, OPEN, OPEN]) == "1 passed, 0 failed, 2 not checked"


def test_a_document_holds_everything_as_json() -> None:
    document = json.loads(json.dumps(as_document([BAD], {"image": "x"})))

    assert document["image"] == "x"
    assert document["findings"] == [
        {
            "name": "eviction",
            "expected": "no request is lost",
            "verdict": "FAILED",
            "seen": BAD.seen,
            "seconds": 61.0,
        }
    ]


def test_judging_tells_all_that_is_wrong() -> None:
    assert judged([], "fine") == passed("fine")
    assert judged(["this", "that"], "fine") == failed("this; that")
    assert not_checked("why") == Seen(Verdict.NOT_CHECKED, "why")
