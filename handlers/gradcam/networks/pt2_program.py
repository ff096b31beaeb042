"""The program of a ``torch.export`` archive, read as data before torch reads it as a program.

torch trusts this JSON: it evaluates the expressions for sizes (through sympy, with ``eval``),
compiles the names into Python, looks operators up by any dotted path below ``torch`` or
``operator``, and imports modules that a description of nested outputs names. So here all of these
are held against what a network needs, and what is only for debugging is left out.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from gradcam.errors import SettingsError
from gradcam.networks.pt2_sizes import is_arithmetic

_NAME = re.compile(r"[^\W\d]\w*")
_OPERATOR = re.compile(r"torch\.ops\.(aten|prims|torchvision)\.([a-z]\w*)\.(\w+)")
_ON_NUMBERS = re.compile(
    r"_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_"
    r"|or_|not_)|math\.(ceil|floor|trunc|sqrt)|torch\.sym_(int|float|max|min|not|ite|sqrt|sum)"
)
_WRAPPERS = re.compile(r"torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)")
_ON_FILES = ("from_file", "save", "load")
_TREES = frozenset(
    {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
    | {f"torch.fx.immutable_collections.immutable_{kind}" for kind in ("list", "dict")}
)
_KEPT_METADATA = ("nn_module_stack",)  # the rest is stack traces, with paths of whoever exported


def checked_program(text: str) -> dict[str, Any]:
    """Reads ``models/model.json`` and gives what may be handed to torch.

    Args:
        text: The JSON.

    Returns:
        The same document without guards, which would be compiled, and without stack traces.

    Raises:
        SettingsError: It is not such a document, or holds anything that could run code.
    """
    try:
        document = json.loads(text)
        program: dict[str, Any] = _checked(document, "")
        program["guards_code"] = []
        program["range_constraints"] = {
            _expression(symbol): bounds for symbol, bounds in program["range_constraints"].items()
        }
        graph = program["graph_module"]["graph"]
        _ = graph["nodes"], graph["tensor_values"], program["graph_module"]["signature"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"is not a program that torch.export wrote ({error})") from error
    return program


def _checked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {
            _plain(name): _checked(entry, name)
            for name, entry in value.items()
            if key != "metadata" or name in _KEPT_METADATA
        }
    if isinstance(value, list):
        return [_checked(entry, key) for entry in value]
    if isinstance(value, str):
        return _CHECKS.get(key, _plain)(value)
    return value


def _plain(text: str) -> str:
    """Text that stays text within quotes: module names go into compiled code so."""
    if any(letter in '"\\' or not letter.isprintable() for letter in text):
        raise _refused("the text", text)
    return text


def _name(text: str) -> str:
    if text and not _NAME.fullmatch(text):
        raise _refused("the name", text)
    return text


def _expression(text: str) -> str:
    if not is_arithmetic(text):
        raise _refused("the expression", text)
    return text


def _operator(text: str) -> str:
    named = _OPERATOR.fullmatch(text)
    if named and not named[3].startswith("__") and named[2] not in _ON_FILES:
        return text
    if _ON_NUMBERS.fullmatch(text) or _WRAPPERS.fullmatch(text):
        return text
    if text.startswith("torch.ops.") and not named:
        raise SettingsError(
            f"uses the operator {text!r:.80}; a worker has only those of torch (aten, prims) and "
            "torchvision"
        )
    raise _refused("the operator", text)


def _device(text: str) -> str:
    if text != "cpu":
        raise SettingsError(
            f"was exported on the device {text!r:.20}; export the model and its pictures on the "
            "CPU, and the worker moves it to where it serves"
        )
    return text


def _tree(text: str) -> str:
    """The nesting of inputs or outputs, which is JSON within the JSON."""

    def look(node: Mapping[str, Any]) -> None:
        if node["type"] not in _TREES:
            raise SettingsError(
                f"takes or gives a {node['type']!r:.80}, which only the code that defines it can "
                "build; export a forward that returns a tensor, a tuple or a dict"
            )
        keys = json.loads(node["context"] or "null")
        if not isinstance(keys, list | None) or not all(
            isinstance(k, str | int) for k in keys or ()
        ):
            raise _refused("the keys", str(node["context"]))
        for child in node["children_spec"]:
            look(child)

    if text:
        version, root = json.loads(text)
        if version != 1:
            raise SettingsError(f"nests its outputs in a way that is not known here ({version!r})")
        look(root)
    return text


def _refused(what: str, text: str) -> SettingsError:
    return SettingsError(f"holds {what} {text!r:.80}, which could run code when loaded")


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "name": _name,
    "as_name": _name,
    "forward_arg_names": _name,
    "expr_str": _expression,
    "target": _operator,
    "as_operator": _operator,
    "type": _device,
    "in_spec": _tree,
    "out_spec": _tree,
    "as_string": str,  # an argument such as "none"; torch quotes it
    "as_strings": str,
}
