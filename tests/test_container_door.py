"""The door's configuration as text, and the table of its refusals; nginx itself is not run here."""

import json
import re
from pathlib import Path

import pytest

from container.door import FORM, Machine, render
from container.keys import Key
from container.refusals import REFUSALS, Refusal, own_error_pages, served_error_pages
from container.settings import Settings, read_settings
from gradcam.request.form import UNREAD
from repository import ROOT

KEYS = (Key("alice", "0123456789+abcde"), Key("bob", "another-key-12345"))


def _settings(store: Path, **told: str) -> Settings:
    (store / "demo.mar").touch()
    named = {f"GRADCAM_{name}": value for name, value in told.items()}
    config = {"GRADCAM_CONFIG": str(ROOT / "config.properties")}
    return read_settings({"GRADCAM_MODEL_STORE": str(store), **config, **named})


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_every_place_is_filled(tmp_path: Path) -> None:
    text = render(_settings(tmp_path, RATE="5"), KEYS, Machine(ipv6=True, user="root"))
    assert not re.search(r"%[a-z_]+%", text)
    assert text.count("{") == text.count("}")


def test_the_handler_reads_what_the_door_makes_of_forms() -> None:
    assert FORM == UNREAD


def test_where_it_listens(tmp_path: Path) -> None:
    def listens(machine: Machine, **told: str) -> list[str]:
        text = render(_settings(tmp_path, **told), KEYS, machine)
        return [line for line in _lines(text) if line.startswith("listen ")]

    socket = "listen unix:/run/gradcam/status.sock;"
    assert listens(Machine()) == ["listen 8000;", "listen 8002;", socket]
    assert listens(Machine(ipv6=True)) == [
        *("listen 8000;", "listen [::]:8000;"),
        *("listen 8002;", "listen [::]:8002;"),
        socket,
    ]
    told = {"LISTEN": "127.0.0.1", "DOOR_PORT": "9000", "METRICS_PORT": "9002"}
    here = ["listen 127.0.0.1:9000;", "listen 127.0.0.1:9002;", socket]
    assert listens(Machine(ipv6=True), **told) == here


def test_the_keys_are_matched_whole_and_as_they_are_written(tmp_path: Path) -> None:
    lines = _lines(render(_settings(tmp_path), KEYS, Machine()))
    assert r'"~^(?i:bearer) +0123456789\+abcde\z" "alice";' in lines
    assert r'"~^(?i:bearer) +another\-key\-12345\z" "bob";' in lines
    assert "default anonymous;" not in lines
    assert "default anonymous;" in _lines(render(_settings(tmp_path), None, Machine()))


def test_a_rate_only_where_one_is_wanted(tmp_path: Path) -> None:
    assert "limit_req" not in render(_settings(tmp_path), KEYS, Machine())
    limited = render(_settings(tmp_path, RATE="7"), KEYS, Machine())
    assert "rate=7r/s;" in limited
    # before the body is read, whether or not the container drains
    assert limited.count("limit_req zone=gradcam_rate burst=7 nodelay;") == 2


def test_what_is_told_of_the_machine(tmp_path: Path) -> None:
    settings = _settings(tmp_path, UPSTREAMS="127.0.0.1:1,127.0.0.1:2", MAX_BODY="1m")
    lines = _lines(render(settings, KEYS, Machine(user="root", access_log="/there/log")))
    assert "user root;" in lines
    assert "access_log /there/log door;" in lines
    assert "server 127.0.0.1:1 max_fails=0;" in lines
    assert "server 127.0.0.1:2 max_fails=0;" in lines
    assert "client_max_body_size 1048576;" in lines
    assert not [line for line in _lines(render(settings, KEYS, Machine())) if line[:5] == "user "]


class TestRefusals:
    @pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.location)
    def test_each_has_our_form_and_can_stand_in_the_configuration(self, refusal: Refusal) -> None:
        values = {"max_body": "1", "rate": "2", "request": "$gradcam_request"}
        body = refusal.body(values)
        document = json.loads(body)
        assert set(document) == {"code", "type", "message"}
        assert document["code"] == refusal.status
        assert "'" not in body  # it is written between such
        assert body.count("$") == body.count("$gradcam_request")

    def test_no_two_are_the_same_place(self) -> None:
        places = [refusal.location for refusal in REFUSALS]
        assert len(set(places)) == len(places)
        codes = [code for refusal in REFUSALS for code in refusal.codes]
        assert len(set(codes)) == len(codes)

    def test_only_the_4xx_that_the_handler_never_answers_is_replaced(self) -> None:
        replaced = re.findall(r"error_page (\d+)", "\n".join(served_error_pages()))
        assert set(replaced) == {"403", "500", "502", "503", "504", "507"}

    def test_a_location_may_go_before_the_table(self) -> None:
        lines = own_error_pages({405: "@elsewhere"})
        assert [line for line in lines if line.startswith("error_page 405")] == [
            "error_page 405 = @elsewhere;"
        ]

    def test_the_documents_table_is_this_one(self) -> None:
        text = (ROOT / "docs" / "health.md").read_text(encoding="utf-8")
        told = set()
        for statuses, kinds in re.findall(r"(?m)^\| ([\d, ]+) \| ([`\w, ]+) \|", text):
            named = re.findall(r"\w+", kinds)
            numbers = [int(number) for number in statuses.split(",")]
            told |= set(zip(numbers, named * len(numbers), strict=False))
        assert told == {(refusal.status, refusal.kind) for refusal in REFUSALS}
