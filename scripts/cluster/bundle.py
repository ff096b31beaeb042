"""One source text of a program in ``inside/``, for a Python that has none of our files."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "inside"
_FIRST = "wire"  # what the programs share
_PACKAGE = "cluster.inside"


def bundle(program: str) -> str:
    """The source of a program in ``inside/`` with what it imports of ours.

    Reads its arguments from ``sys.argv[2:]`` (the first is its own length), and prints what its
    ``main`` returns as one line of JSON. Plain ASCII: as many characters as bytes.
    """
    names = [_FIRST, program]
    sources = {name: (_FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in names}
    lines = [
        "import json, sys, types",
        "for name in ('cluster', 'cluster.inside'):",
        "    sys.modules[name] = types.ModuleType(name)",
        "    sys.modules[name].__path__ = []",
    ]
    for name, source in sources.items():
        lines += [
            f"module = sys.modules['{_PACKAGE}.{name}'] = types.ModuleType('{_PACKAGE}.{name}')",
            f"exec(compile({source!a}, '{name}.py', 'exec'), module.__dict__)",
        ]
    lines.append("print(json.dumps(module.main(sys.argv[2:])), flush=True)")
    return "\n".join(lines) + "\n"
