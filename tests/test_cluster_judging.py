"""Each check judges what it saw: right as it should be, wrong in every way that it can go wrong."""

import base64
from typing import Any

import pytest

from cluster.accounts import read_account, told, wrong_with
from cluster.checks.acceptance import judge_overlays
from cluster.checks.failing import judge_worker
from cluster.checks.guarding import judge_guards, judge_management
from cluster.checks.moving import judge_budget
from cluster.checks.policing import judge_policy
from cluster.checks.scaling import judge_scaling, threshold
from cluster.checks.serving import judge_canary, judge_explained, judge_keyed
from cluster.errors import sentence
from cluster.findings import Verdict
from cluster.objects import let_in
from cluster.stay import why_not_gone

LOST = {"at": 7.25, "kept": True, "status": 0, "seconds": 0.1, "error": "ConnectionResetError"}
LOAD: dict[str, Any] = {
    "seconds": 25.0,
    "sent": 100,
    "kept": 50,
    "statuses": {"200": 100},
    "lost": [],
    "renewed": 3,
    "median": 0.2,
    "slowest": 1.5,
}
GUARDED: dict[str, Any] = {
    "user": 10001,
    "read_only": True,
    "written": [],
    "scratch": True,
    "status": {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"},
    "cgroup": {"memory": str(2 << 30), "cpu": "150000 100000", "period": ""},
    "token": False,
}
NAME = "kubernetes.io/metadata.name"
LIMITS = {"cpu": "1500m", "memory": "2Gi", "ephemeral-storage": "3Gi"}


def test_a_load_without_a_loss() -> None:
    account = read_account(LOAD)
    assert wrong_with(account, least=40) == []
    assert told(account) == (
        "100 of 100 explanations in 25 s answered, 50 over kept connections (3 renewed), "
        "median 0.20 s, slowest 1.50 s"
    )


def test_a_lost_request_is_told_with_its_moment() -> None:
    account = read_account(LOAD | {"statuses": {"200": 97, "0": 1, "503": 2}, "lost": [LOST]})
    assert wrong_with(account, least=40) == [
        "3 of 100 requests were lost (1 without an answer, 2 with 503)",
        "at 7.2 s (kept connection): no answer, ConnectionResetError",
    ]


def test_a_load_of_nothing_proves_nothing() -> None:
    nothing = LOAD | {"sent": 0, "statuses": {}, "median": None, "slowest": None}
    assert wrong_with(read_account(nothing), least=40) == [
        "only 0 requests were sent, which tells too little"
    ]
    assert "median" not in told(read_account(nothing))


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({}, Verdict.PASSED, "not ready 30 times"),
        ({"canaries": 0.0}, Verdict.FAILED, "before any explanation"),
        ({"canaries": None}, Verdict.FAILED, "ImagePullBackOff"),
        ({"not_ready": 0}, Verdict.NOT_CHECKED, "before it could be watched"),
    ],
)
def test_readiness(change: dict[str, Any], verdict: Verdict, said: str) -> None:
    seen = judge_canary(
        {"not_ready": 30, "canaries": 1.0, "seconds": 9.0} | change, "ImagePullBackOff"
    )
    assert seen.verdict is verdict
    assert said in seen.text


def answer(status: int, kind: str, begins: str) -> dict[str, Any]:
    return {"status": status, "kind": kind, "begins": begins, "bytes": len(begins)}


DOCUMENT = answer(200, "application/json", '[{"label": "cat"}]')
PNG = answer(200, "image/png", base64.b64encode(b"\x89PNG\r\n\x1a\n rest").decode())


def test_explanations() -> None:
    assert judge_explained([DOCUMENT, PNG]).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([answer(503, "application/json", '{"code":503}'), PNG], "answered with 503"),
        ([DOCUMENT, DOCUMENT], "an overlay was answered with 200 application/json"),
        ([DOCUMENT, answer(200, "image/png", "R0lG")], "no PNG"),
    ],
)
def test_what_is_no_explanation(answers: list[dict[str, Any]], said: str) -> None:
    seen = judge_explained(answers)
    assert seen.verdict is Verdict.FAILED
    assert said in seen.text


def ours(status: int) -> dict[str, Any]:
    return answer(status, "application/json", f'{{"code":{status},"message":"why"}}')


def test_keys() -> None:
    assert judge_keyed([ours(401), ours(401), ours(404), ours(404)]).verdict is Verdict.PASSED


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("wrong", [ours(200), answer(401, "text/html", "<html>"), ours(403)])
def test_a_door_that_is_not_shut(place: int, wrong: dict[str, Any]) -> None:
    answers = [ours(401), ours(401), ours(404), ours(404)]
    answers[place] = wrong
    assert judge_keyed(answers).verdict is Verdict.FAILED


KILLED: dict[str, Any] = {"killed": 20, "noticed": 0.5, "replaced": 4.0, "back": 6.0}


def test_a_worker_that_comes_back() -> None:
    seen = judge_worker(KILLED, status=200, restarted=0)
    assert seen.verdict is Verdict.PASSED
    assert "not ready after 0.5 s, a new worker after 4.0 s, ready again after 6.0 s" in seen.text


@pytest.mark.parametrize(
    ("change", "status", "restarted", "said"),
    [
        ({"killed": None}, 200, 0, "no worker process"),
        ({"noticed": None}, 200, 0, "never said"),
        ({"replaced": None, "back": None}, 200, 0, "no new worker"),
        ({"back": None}, 200, 0, "not ready again"),
        ({}, 503, 0, "answered with 503"),
        ({}, 0, 0, "answered with nothing"),
        ({}, 200, 1, "restarted 1 times"),
        ({}, 200, None, "the pod is gone"),
    ],
)
def test_a_worker_that_does_not(
    change: dict[str, Any], status: int, restarted: int | None, said: str
) -> None:
    seen = judge_worker(KILLED | change, status, restarted)
    assert seen.verdict is Verdict.FAILED
    assert said in seen.text


def test_the_budget() -> None:
    assert judge_budget(429, "Cannot evict pod").verdict is Verdict.PASSED
    assert judge_budget(201, "it was evicted").verdict is Verdict.FAILED
    assert judge_budget(403, "forbidden").verdict is Verdict.FAILED


DOORS = [("10.0.0.1", 8000), ("10.1.0.1", 80)]
SHUT = [("10.0.0.1", 8081), ("10.1.0.1", 8081)]


def test_shut_ports() -> None:
    reached = ["open", "open", "connection refused", "timed out"]
    seen = judge_management(DOORS, SHUT, reached)
    assert seen.verdict is Verdict.PASSED
    assert "1 connection refused, 1 timed out" in seen.text


def test_an_open_port_is_named() -> None:
    seen = judge_management(DOORS, SHUT, ["open", "open", "open", "timed out"])
    assert (seen.verdict, seen.text) == (Verdict.FAILED, "10.0.0.1:8081 takes connections")


def test_shut_ports_mean_nothing_where_the_door_is_shut_too() -> None:
    seen = judge_management(DOORS, SHUT, ["open", *["timed out"] * 3])
    assert seen.verdict is Verdict.FAILED
    assert "10.1.0.1:80 (timed out)" in seen.text


@pytest.mark.parametrize(
    "cgroup",
    [
        GUARDED["cgroup"],
        {"memory": str(2 << 30), "cpu": "150000", "period": "100000"},
    ],
)
def test_guards_in_force_in_both_versions_of_control_groups(cgroup: dict[str, str]) -> None:
    assert judge_guards(GUARDED | {"cgroup": cgroup}, 10001, LIMITS) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user": 0}, "the user is 0"),
        ({"user": 1000}, "the user is 1000"),
        ({"read_only": False}, "not mounted read-only"),
        ({"written": ["/etc"]}, "can be written to: /etc"),
        ({"scratch": False}, "/tmp"),
        ({"status": GUARDED["status"] | {"CapBnd": "00000000a80425fb"}}, "CapBnd"),
        ({"status": GUARDED["status"] | {"NoNewPrivs": "0"}}, "privileges"),
        ({"status": GUARDED["status"] | {"Seccomp": "0"}}, "seccomp"),
        ({"status": {}}, "capabilities"),
        ({"token": True}, "token"),
        ({"cgroup": GUARDED["cgroup"] | {"memory": "max"}}, "memory limit is max"),
        ({"cgroup": GUARDED["cgroup"] | {"cpu": "max 100000"}}, "CPU limit is max 100000"),
        ({"cgroup": GUARDED["cgroup"] | {"cpu": "-1", "period": "100000"}}, "CPU limit is -1"),
        ({"cgroup": GUARDED["cgroup"] | {"cpu": ""}}, "CPU limit is unknown"),
    ],
)
def test_a_guard_that_is_not_in_force(change: dict[str, Any], said: str) -> None:
    wrong = judge_guards(GUARDED | change, 10001, LIMITS)
    assert any(said in one for one in wrong), wrong


def test_root_is_wrong_even_where_it_is_asked_for() -> None:
    assert judge_guards(GUARDED | {"user": 0}, 0, LIMITS) == ["the user is 0"]


@pytest.mark.parametrize(
    ("wrong", "unknown", "taken", "verdict"),
    [
        ([], [], ["cpu (6)"], Verdict.PASSED),
        (["cpu: no"], ["kserve (no x)"], ["gpu (6)"], Verdict.FAILED),
        ([], ["kserve (no x)"], ["cpu (6)"], Verdict.NOT_CHECKED),
        ([], [], [], Verdict.FAILED),
    ],
)
def test_overlays(wrong: list[str], unknown: list[str], taken: list[str], verdict: Verdict) -> None:
    assert judge_overlays(wrong, unknown, taken).verdict is verdict


@pytest.mark.parametrize(
    ("conditions", "passed", "said"),
    [
        ([], 30.0, ""),
        ([], 61.0, "no controller manager"),
        ([{"type": "NamespaceContentRemaining", "status": "True"}], 61.0, ""),
        ([{"type": "NamespaceContentRemaining", "status": "True"}], 211.0, "still there after 210"),
    ],
)
def test_a_namespace_that_does_not_go(
    conditions: list[dict[str, str]], passed: float, said: str
) -> None:
    namespace = {"metadata": {"name": "tried"}, "status": {"conditions": conditions}}
    why = why_not_gone(namespace, passed, 210.0)
    assert said in why
    assert bool(why) is bool(said)


def test_the_load_goes_beyond_what_idle_pods_use() -> None:
    assert threshold([]) == threshold([0.01, 0.04]) == 0.1
    assert threshold([0.01, 0.3]) == 0.6


def test_a_further_replica() -> None:
    seen = judge_scaling("a plain autoscaler", 2, 31.0, 21.0, read_account(LOAD))
    assert seen.verdict is Verdict.PASSED
    assert "2 replicas without load; a further one wanted after 31 s" in seen.text
    full = read_account(LOAD | {"statuses": {"200": 40, "503": 60}})
    assert judge_scaling("", 2, 31.0, 21.0, full).verdict is Verdict.PASSED
    shut = read_account(LOAD | {"statuses": {"0": 100}})
    assert judge_scaling("", 2, 31.0, 21.0, shut).verdict is Verdict.FAILED


@pytest.mark.parametrize("document", ['{"kind":"Status","message":"no such container"}', "b'%s'"])
def test_a_failed_handshake_is_told_in_the_servers_words(document: str) -> None:
    body = document.replace("%s", '{"kind":"Status","message":"no such container"}')
    assert sentence(f"Handshake status 500 -+-+- {{'date': ''}} -+-+- {body}\n") == (
        "no such container"
    )
    assert sentence("no route to host") == "no route to host"


TWO = [("10.0.0.1", 8002), ("10.0.0.2", 8002)]
SHUT_TWICE, OPEN_TWICE = ["timed out", "connection refused"], ["open", "open"]


def test_a_policy() -> None:
    seen = judge_policy(TWO, SHUT_TWICE, OPEN_TWICE, SHUT_TWICE)
    assert seen.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("inwards", "as_allowed", "outwards", "said"),
    [
        (["timed out", "open"], OPEN_TWICE, SHUT_TWICE, "10.0.0.2 gives its metrics to others"),
        (SHUT_TWICE, ["open", "timed out"], SHUT_TWICE, "10.0.0.2 gives its metrics to nobody"),
        (SHUT_TWICE, OPEN_TWICE, ["open", "timed out"], "10.0.0.1 reaches another pod"),
    ],
)
def test_a_policy_that_lets_through_or_shuts_too_much(
    inwards: list[str], as_allowed: list[str], outwards: list[str], said: str
) -> None:
    seen = judge_policy(TWO, inwards, as_allowed, outwards)
    assert (seen.verdict, seen.text) == (Verdict.FAILED, said)


def test_the_rule_that_names_a_namespace_is_the_one_that_is_widened() -> None:
    rules = [
        {"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]},
        {
            "from": [{"namespaceSelector": {"matchLabels": {NAME: "monitoring"}}}],
            "ports": [{"port": "metrics"}],
        },
    ]
    policy: dict[str, Any] = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "gradcam"},
        "spec": {"ingress": rules},
    }
    widened = let_in(policy, "tried")
    first, second = widened["spec"]["ingress"]
    assert first == rules[0]
    assert second["from"] == [{"namespaceSelector": {"matchLabels": {NAME: "tried"}}}]
    assert policy["spec"]["ingress"][1]["from"][0]["namespaceSelector"]["matchLabels"] == {
        NAME: "monitoring"
    }
    assert widened["metadata"]["name"] != "gradcam"
