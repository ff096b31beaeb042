"""What ``evaluate.py`` and ``inspect_model.py`` do alike: walk, or say in a sentence why not."""

import argparse
import sys
from collections.abc import Callable, Sequence

from late_imports import import_all
from model_options import read_model_options
from packaging_options import PackagingError


def walk_and_show(
    arguments: argparse.Namespace, modules: Sequence[str], show: Callable[..., None]
) -> int:
    """Walks from a command line's arguments to what they ask for, and shows it.

    Args:
        arguments: With those of ``add_model_options``.
        modules: Names of what is imported only now. The first has a function ``walk`` of the
            arguments and the model, and ``EXPECTED``, the errors that say what was asked wrongly.
        show: Is called with what ``walk`` gave and the other modules.

    Returns:
        The exit status: 0, or 2 after an error that was to be expected.
    """
    expected: tuple[type[Exception], ...] = (PackagingError, OSError)
    try:
        first, *others = import_all(*modules)
        expected = (*expected, *first.EXPECTED)
        found = first.walk(arguments, read_model_options(arguments))
    except expected as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(found, *others)
    return 0
