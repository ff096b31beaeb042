"""Every example in a benchmark's help is a command that its parser takes."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
PARSERS = {
    **{
        path.stem: path.stem
        for path in sorted(BENCHMARKS.glob("*.py"))
        if "__main__" in path.read_text()
    },
    "server": "server_arguments",  # the server's own module sets up plots and archives
}


def examples(name: str) -> list[list[str]]:
    """The arguments of each, as a shell splits them; what it says beside them is left out."""
    module = importlib.import_module(PARSERS[name])
    text = module.build_parser().format_help()
    lines = re.findall(rf"^ +python benchmarks/{name}\.py\b(.*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r" {3,}", line)[0]) for line in lines]


@pytest.mark.parametrize("name", PARSERS)
def test_examples_are_taken(name: str) -> None:
    found = examples(name)
    assert found
    parser = importlib.import_module(PARSERS[name]).build_parser()
    for line in found:
        parser.parse_args(line)


def test_the_server_s_variants_can_be_packaged(tmp_path: Path) -> None:
    arguments, archives = (
        importlib.import_module(name) for name in ("server_arguments", "server_archives")
    )
    variants = [
        (name, line)
        for example in examples("server")
        for name, line in arguments.read_arguments(None, example).variant.items()
    ]
    assert [name for name, _ in variants] == ["bf16"]
    batching = archives.Batching(8, 20)
    for name, line in variants:
        options = archives.options_of(tmp_path, name, "resnet18", batching, shlex.split(line))
        assert options.execution == ("precision=bf16",)


def test_tune_s_examples_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_store").mkdir()
    for there in ("model_store/demo.mar", "model_store/resnet50.mar", "photo.jpg"):
        (tmp_path / there).touch()
    parser = importlib.import_module("tune").build_parser()
    lines = re.findall(r"^ +python scripts/tune\.py\b(.*)$", parser.format_help(), re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        parser.parse_args(shlex.split(line))
