"""Makes a virtual environment smaller for serving, and compiles it. Standard library only.

What goes is for compiling against (headers, static libraries, protoc), for another system,
packages' own tests, or a library of CUDA that no other library names. Bytecode is written
unchecked: where nothing changes, no source need be compared with it.
"""

import argparse
import compileall
import mmap
import py_compile
import shutil
import sys
from pathlib import Path

UNUSED = (
    "torch/include",
    "torch/share",
    "torch/bin/protoc*",
    "nvidia/**/include",
    "nvidia/**/*.a",
    "setuptools/*.exe",
    "sympy/**/tests",
    "networkx/**/tests",
    "mpmath/tests",
)
"""What is taken out, as patterns from ``site-packages``."""

SPARE = (
    "nvidia/**/libcufftw.so*",
    "nvidia/**/libcusolverMg.so*",
    "nvidia/**/libnvblas.so*",
    "nvidia/**/libnvrtc.alt.so*",
    "nvidia/**/libnvrtc-builtins.alt.so*",
)
"""CUDA's second ways to what it has a first one for; one stays that a staying library names."""

_EXAMPLE = """
example:
  python3 scripts/image/trim.py /opt/venv
"""


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("venv", type=Path, help="the environment; its Python must be this one's")
    venv: Path = parser.parse_args().venv
    folders = list(venv.glob("lib/python3*/site-packages"))
    if len(folders) != 1:
        print(f"error: {venv} is no virtual environment", file=sys.stderr)
        return 2
    freed = trim(folders[0])
    if not compile_all(folders[0]):
        print("some files are not Python that compiles; they stay as they are", flush=True)
    print(f"{freed / 1e6:.0f} MB taken out of {folders[0]}")
    return 0


def trim(site_packages: Path) -> int:
    """Takes out what :data:`UNUSED` names.

    Returns:
        The bytes that it held.
    """
    freed = 0
    for pattern in UNUSED:
        for path in list(site_packages.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                freed += sum(file.lstat().st_size for file in path.rglob("*"))
                shutil.rmtree(path)
            elif path.is_symlink() or path.exists():  # not within a folder that has gone
                freed += path.lstat().st_size
                path.unlink()
    for path in unnamed(site_packages):
        freed += path.lstat().st_size
        path.unlink()
    return freed


def unnamed(site_packages: Path) -> set[Path]:
    """Those of :data:`SPARE` that no library that stays would load, whether linked or by name."""
    libraries = {path for path in site_packages.rglob("*.so*") if path.is_file()}
    spare = {path for pattern in SPARE for path in site_packages.glob(pattern)}
    while named := {one for one in spare if any(_names(other, one) for other in libraries - spare)}:
        spare -= named
    return spare


def _names(library: Path, other: Path) -> bool:
    if not library.stat().st_size:  # nothing cannot be mapped
        return False
    name = other.name.partition(".so")[0].encode() + b".so"
    with (
        library.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(name) >= 0


def compile_all(site_packages: Path) -> bool:
    """Compiles every module; whether all of them could be."""
    return bool(
        compileall.compile_dir(
            site_packages,
            maxlevels=50,
            quiet=2,
            workers=0,  # as many as there are cores
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
