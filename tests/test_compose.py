"""compose.yaml: it parses, and says the same as the Dockerfile."""

import re
from typing import Any

import pytest
import yaml

from container.door import SLOWEST
from image.checks import GRACE
from image.containers import DOOR_PORT, METRICS_PORT, WRITABLE
from repository import ROOT

_TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
_DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def uncommented(*titles: str) -> dict[str, Any]:
    """The file with the blocks ``#: …`` in force that follow these comments."""
    lines, inside = [], False
    for line in _TEXT.splitlines():
        if re.match(r"\s*# ", line):
            inside = any(title in line for title in titles) or (inside and "#:" not in line)
        elif "#: " not in line:
            inside = False
        lines.append(re.sub(r"^(\s*)#: ", r"\1", line) if inside else line)
    return dict(yaml.load("\n".join(lines), Loader=_Strict))


class _Strict(yaml.SafeLoader):
    """A key that is there twice is an error, as it is for compose."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"twice: {keys}"
    return loader.construct_mapping(node, deep=True)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)

_SERVICE = uncommented()["services"]["gradcam"]


def test_only_the_door_is_open_to_others() -> None:
    assert _SERVICE["ports"] == [
        f"{DOOR_PORT}:{DOOR_PORT}",
        f"127.0.0.1:{METRICS_PORT}:{METRICS_PORT}",
    ]
    assert f"EXPOSE {DOOR_PORT} {METRICS_PORT}" in _DOCKERFILE


def test_it_runs_confined() -> None:
    assert f"USER {_SERVICE['user']}\n" in _DOCKERFILE
    assert _SERVICE["read_only"] is True
    assert _SERVICE["cap_drop"] == ["ALL"]
    assert _SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in _SERVICE
    assert "cap_add" not in _SERVICE


def test_what_must_be_writable_is_in_memory() -> None:
    folders = {entry.split(":")[0] for entry in _SERVICE["tmpfs"]}
    assert folders | {"/dev/shm"} == set(WRITABLE)
    sizes = dict(re.findall(r"(\S+?):\S*size=(\w+)", " ".join(_SERVICE["tmpfs"])))
    assert {**sizes, "/dev/shm": "1g"} == WRITABLE  # what the image is checked with
    assert _SERVICE["shm_size"] == "1gb"
    # an engine's tmpfs belongs to root, and podman lets nobody name another owner
    assert all("mode=1777" in entry.split(":")[1].split(",") for entry in _SERVICE["tmpfs"])
    assert "uid=" not in str(_SERVICE["tmpfs"])


def test_keys_come_as_a_secret_to_where_they_are_looked_for() -> None:
    (secret,) = _SERVICE["secrets"]
    assert secret == {"source": "keys", "target": "/etc/gradcam/keys/keys"}
    # what is named must be there; otherwise a container without it would make a key of its own
    assert _SERVICE["environment"]["GRADCAM_KEYS_FILE"] == secret["target"]
    file = uncommented()["secrets"]["keys"]["file"]
    assert file == "./run/keys"
    assert "/run/" in (ROOT / ".gitignore").read_text().splitlines()  # so that none is committed
    assert "run/keys" in _TEXT.partition("name:")[0]  # the way to make it names the same file


def test_the_grace_holds_the_drain() -> None:
    grace = float(_SERVICE["stop_grace_period"].removesuffix("s"))
    told = _SERVICE["environment"]
    assert grace == GRACE
    assert float(told["GRADCAM_DRAIN_SECONDS"]) + float(told["GRADCAM_DRAIN_LIMIT"]) + 20 == grace
    assert float(told["GRADCAM_DRAIN_LIMIT"]) >= SLOWEST


def test_the_health_check_is_the_images() -> None:
    assert "healthcheck" not in _SERVICE
    assert re.search(r"HEALTHCHECK .*\\\n +CMD \[.*\]", _DOCKERFILE)


def test_the_image_is_the_one_that_is_built() -> None:
    version = re.search(
        r'__version__ = "(.*)"', (ROOT / "handlers" / "gradcam" / "version.py").read_text()
    )
    assert version is not None
    assert _SERVICE["image"] == f"torchserve-gradcam:{version[1]}"
    assert _SERVICE["build"] == "."


@pytest.mark.parametrize("title", ["archives of yours", "A GPU"])
def test_what_is_commented_out_can_be_put_in_force(title: str) -> None:
    service = uncommented(title)["services"]["gradcam"]
    (added,) = set(service) - set(_SERVICE)
    assert added == {"archives of yours": "volumes", "A GPU": "deploy"}[title]
    assert {**service, added: None} == {**_SERVICE, added: None}


def test_two_replicas_share_no_port_and_the_front_knows_theirs() -> None:
    block = re.findall(r"^    #: (.*)$", _TEXT.partition("# Two replicas")[2], re.MULTILINE)
    told = yaml.safe_load("\n".join(block))
    assert told["scale"] == 2
    ranges = []
    for entry, port in zip(told["ports"], (DOOR_PORT, METRICS_PORT), strict=True):
        found = re.fullmatch(rf"127\.0\.0\.1:(\d+)-(\d+):{port}", entry)
        assert found is not None
        ranges.append((int(found[1]), int(found[2])))
    assert [high - low for low, high in ranges] == [1, 1]
    front = (ROOT / "container" / "front.conf").read_text(encoding="utf-8")
    behind = [int(port) for port in re.findall(r"^ *server 127\.0\.0\.1:(\d+) ", front, re.M)]
    assert behind == list(ranges[0])
    assert f"listen {DOOR_PORT};" in front
    assert not {DOOR_PORT, *ranges[0]} & set(ranges[1])


def test_the_front_can_be_put_in_force_and_is_confined_like_the_rest() -> None:
    services = uncommented("The front of two replicas")["services"]
    assert services["gradcam"] == _SERVICE
    front = services["front"]
    for same in ("image", "user", "read_only", "cap_drop", "security_opt"):
        assert front[same] == _SERVICE[same]
    assert "COPY container /opt/gradcam/container" in _DOCKERFILE
    assert front["entrypoint"][-1] == "/opt/gradcam/container/front.conf"
    text = (ROOT / "container/front.conf").read_text()
    written = re.findall(r"^ *(?:pid|\w+_temp_path) (\S+);", text, re.MULTILINE)
    assert len(written) == 6
    assert not any(path.startswith("/") for path in written)  # all of it in the one folder of -p,
    prefix = front["entrypoint"][front["entrypoint"].index("-p") + 1]
    assert [one.partition(":")[0] for one in front["tmpfs"]] == [prefix]  # which can be written to
    assert front["tmpfs"][0].startswith("/tmp:")
