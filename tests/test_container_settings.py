"""The container's settings and TorchServe's configuration: what is read, and what is refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from container.errors import SettingsError
from container.server_config import parse_properties, read_server_config
from container.settings import misspelt, read_settings
from repository import ROOT

SAFE = ROOT / "config.properties"


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    """The environment of a container with one model."""
    (tmp_path / "demo.mar").touch()
    return {"GRADCAM_MODEL_STORE": str(tmp_path), "GRADCAM_CONFIG": str(SAFE)}


def test_the_defaults(told: dict[str, str]) -> None:
    settings = read_settings(told)
    assert settings.models == {"demo": "demo.mar"}
    assert (settings.door_port, settings.metrics_port, settings.agent_port) == (8000, 8002, 8003)
    assert (settings.drain_seconds, settings.drain_limit) == (10, 150)
    assert settings.keys_file == Path("/etc/gradcam/keys/keys")
    assert settings.run_dir == Path("/run/gradcam")
    assert (settings.canary, settings.rate, settings.listen) == ("explain", 0, "")
    assert settings.max_body == 16 * 1024 * 1024
    assert settings.upstreams == ("127.0.0.1:8080",)


def test_all_archives_of_the_store_or_those_that_are_named(told: dict[str, str]) -> None:
    store = Path(told["GRADCAM_MODEL_STORE"])
    (store / "b.mar").touch()
    (store / "README.md").touch()
    assert read_settings(told).models == {"b": "b.mar", "demo": "demo.mar"}
    told["GRADCAM_MODELS"] = "first=demo.mar, second=b.mar"
    assert read_settings(told).models == {"first": "demo.mar", "second": "b.mar"}


def test_values(told: dict[str, str]) -> None:
    told |= {
        "GRADCAM_KEYS": "off",
        "GRADCAM_MAX_BODY": "500K",
        "GRADCAM_DRAIN_SECONDS": "0.5",
        "GRADCAM_UPSTREAMS": "127.0.0.1:1, 127.0.0.1:2",
        "GRADCAM_RUN_DIR": "here",
        "GRADCAM_CANARY": "predict",
    }
    settings = read_settings(told)
    assert settings.keys_file is None
    assert (settings.max_body, settings.drain_seconds) == (512_000, 0.5)
    assert settings.upstreams == ("127.0.0.1:1", "127.0.0.1:2")
    assert settings.run_dir.is_absolute()
    assert settings.canary == "predict"


WRONG: Mapping[str, tuple[str, str]] = {
    "MODELS": ("demo", "demo=demo.mar"),
    "MODELS twice": ("demo=demo.mar,demo=demo.mar", "demo=demo.mar"),
    "MODELS missing": ("demo=other.mar", "no file other.mar"),
    "MODELS elsewhere": ("demo=../demo.mar", "no file"),
    "MODELS called": ("de mo=demo.mar", "cannot be called"),
    "MODELS called up": ("..=demo.mar", "cannot be called"),
    "MODEL_STORE": ("/nowhere", "no archive"),
    "CONFIG": ("/nowhere", "cannot be read"),
    "DOOR_PORT": ("80a", "not a port"),
    "METRICS_PORT": ("0", "not a port"),
    "AGENT_PORT": ("8000", "both 8000"),
    "KEYS_FILE": ("/nowhere/keys", "no such file"),
    "KEYS": ("my-secret-key", "GRADCAM_KEYS_FILE"),
    "DRAIN_SECONDS": ("-1", "number of seconds"),
    "DRAIN_LIMIT": ("1m", "number of seconds"),
    "CANARY": ("yes", "explain nor predict"),
    "MAX_BODY": ("much", "16m"),
    "MAX_BODY zero": ("0", "16m"),
    "MAX_BODY above": ("32m", "max_request_size"),
    "RATE": ("0.5", "whole number"),
    "UPSTREAMS": ("127.0.0.1", "host:port"),
    "UPSTREAMS injected": ("a:1; return 200", "host:port"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(told: dict[str, str], case: str) -> None:
    value, part = WRONG[case]
    with pytest.raises(SettingsError) as refused:
        read_settings({**told, f"GRADCAM_{case.partition(' ')[0]}": value})
    assert part in str(refused.value)
    assert "my-secret-key" not in str(refused.value)


def test_what_kubernetes_says_of_a_service_of_that_name_is_no_port(told: dict[str, str]) -> None:
    told |= {"GRADCAM_DOOR_PORT": "tcp://10.96.0.7:80", "GRADCAM_PORT": "tcp://10.96.0.8:80"}
    assert read_settings(told).door_port == 8000
    assert list(misspelt(told)) == []


def test_a_misspelt_name_is_told() -> None:
    (told,) = misspelt({"GRADCAM_DRAIN_SECOND": "1", "GRADCAM_SERVICE_HOST": "10.96.0.7"})
    assert "did you mean GRADCAM_DRAIN_SECONDS" in told


class TestServerConfig:
    def test_the_repositorys_own_is_the_safe_one(self) -> None:
        config = read_server_config(SAFE)
        assert config.inference == "127.0.0.1:8080"
        assert config.management == "127.0.0.1:8081"
        assert config.metrics == "127.0.0.1:8082"
        assert config.values["enable_model_api"] == "false"
        assert config.values["enable_envvars_config"] == "false"
        assert config.values["install_py_dep_per_model"] == "false"
        assert config.values["allowed_urls"] == "file:///nowhere"
        assert config.values["grpc_inference_address"] == "127.0.0.1"
        assert config.values["grpc_management_address"] == "127.0.0.1"
        assert not [name for name in config.values if name.startswith("cors_")]

    def test_every_value_is_explained(self) -> None:
        """A comment stands above every group of lines."""
        groups = SAFE.read_text(encoding="utf-8").strip().split("\n\n")
        assert all(group.startswith("#") for group in groups)

    @pytest.mark.parametrize(
        "line",
        [
            "inference_address=http://0.0.0.0:8080",
            "management_address=http://10.0.0.1:8081",
            "metrics_address=http://gradcam:8082",
            "grpc_inference_address=0.0.0.0",
            "grpc_management_address=::",
        ],
    )
    def test_only_this_machine(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "config.properties"
        path.write_text(f"{SAFE.read_text()}\n{line}\n")
        with pytest.raises(SettingsError, match=r"must be on 127\.0\.0\.1"):
            read_server_config(path)

    @pytest.mark.parametrize(
        ("line", "part"),
        [
            ("enable_envvars_config=true", "remove it"),
            ("inference_address=127.0.0.1:8080", "http://127"),
            ("inference_address=http://127.0.0.1:x", "http://127"),
            ("inference_address=https://127.0.0.1:8443", "http://127"),
            ("max_request_size=1m", "number of bytes"),
        ],
    )
    def test_what_else_is_refused(self, tmp_path: Path, line: str, part: str) -> None:
        path = tmp_path / "config.properties"
        path.write_text(line)
        with pytest.raises(SettingsError, match=part):
            read_server_config(path)

    def test_what_torchserve_is_given(self, tmp_path: Path) -> None:
        path = tmp_path / "config.properties"
        path.write_text("# said\nmodel_store=there\nmetrics_config=declared.yaml\n")
        (tmp_path / "declared.yaml").touch()
        told = parse_properties(read_server_config(path).text({"model_store": "/here"}))
        assert told == {
            "model_store": "/here",
            # it runs in another folder than the file's
            "metrics_config": str(tmp_path / "declared.yaml"),
        }
