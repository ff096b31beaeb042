"""The command lines of the evaluation and the inspection, without loading anything."""

import argparse
from pathlib import Path

import pytest

import evaluate
import inspect_model
from late_imports import import_all
from model_options import read_model_options
from packaging_options import PackagingError, PackagingOptions

PARSERS = {"evaluate": evaluate.build_parser(), "inspect_model": inspect_model.build_parser()}


@pytest.mark.parametrize("name", PARSERS)
def test_help_has_examples_that_parse(name: str) -> None:
    told = PARSERS[name].format_help()
    examples = [line.split() for line in told.splitlines() if f"python scripts/{name}.py" in line]
    assert len(examples) == 3
    for words in examples:
        arguments = words[2:]
        if "the" in arguments:  # what stands behind the command is a remark
            arguments = arguments[: arguments.index("the")]
        PARSERS[name].parse_args(arguments)


def parse(*words: str) -> argparse.Namespace:
    return PARSERS["inspect_model"].parse_args(words)


def test_the_demo_model_is_the_default() -> None:
    assert read_model_options(parse()) == PackagingOptions(arch="demo_net")


def test_whatever_packaging_takes_is_taken() -> None:
    found = read_model_options(parse("--arch", "vgg11", "--weights", "none", "--squash"))
    assert found == PackagingOptions(arch="vgg11", weights="none", squash=True)


def test_an_archive_goes_first() -> None:
    assert read_model_options(parse("--archive", "x.mar", "--arch", "vgg11")) == Path("x.mar")


def test_a_missing_package_is_named_with_the_remedy() -> None:
    with pytest.raises(PackagingError, match=r"'no_such_module' is missing .* requirements/serve"):
        import_all("argparse", "no_such_module")
