"""What runs while the image is built: trimming, hardening, the bill of materials."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from image import materials
from image.trim import trim, unnamed
from repository import ROOT


def put(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


# --- trim.py ------------------------------------------------------------------------------------

_GOES = [
    "torch/include/ATen/core.h",
    "torch/bin/protoc-3.21",
    "nvidia/cu13/include/cuda.h",
    "nvidia/cu13/lib/libcudart_static.a",
    "sympy/core/tests/test_basic.py",
    "networkx/algorithms/tests/test_dag.py",
    "setuptools/cli-64.exe",
    "nvidia/cu13/lib/libcusolverMg.so.12",
]
_STAYS = [
    "torch/__init__.py",
    "torch/bin/torch_shm_manager",
    "torch/lib/libtorch.so",
    "torch/testing/__init__.py",
    "nvidia/cu13/lib/libcudart.so.13",
    "numpy/_core/tests/_natype.py",  # numpy.testing imports it
    "sympy/core/basic.py",
]


def test_only_what_nothing_runs_is_taken_out(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in [*_GOES, *_STAYS]:
        put(packages / name, "value = 1\n")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "image" / "trim.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [name for name in _GOES if (packages / name).exists()] == []
    assert [name for name in _STAYS if not (packages / name).exists()] == []
    # compiled, and told never to look at the source again: flags 1 is a hash that is not checked
    (compiled,) = (packages / "sympy" / "core" / "__pycache__").glob("basic.*.pyc")
    assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"


def test_a_spare_library_goes_unless_one_that_stays_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "nvidia" / "cu13" / "lib"
    alone = put(folder / "libcusolverMg.so.12", "libcusolver.so.12")
    named = put(folder / "libnvrtc.alt.so.13", "libnvrtc-builtins.alt.so.13.0")
    by_what_is_named = put(folder / "libnvrtc-builtins.alt.so.13.0")
    put(folder / "libcusolver.so.12")
    put(folder / "empty.so", "")
    put(tmp_path / "cuda" / "catalogue.py", "'libcusolverMg.so.12'")  # loads it for whoever asks
    assert unnamed(tmp_path) == {alone, named, by_what_is_named}
    put(tmp_path / "torch" / "lib" / "libtorch_cuda.so", "... libnvrtc.alt.so.13 ...")
    assert unnamed(tmp_path) == {alone}


def test_it_says_how_much_went(tmp_path: Path) -> None:
    put(tmp_path / "nvidia" / "a" / "lib" / "x.a", "12345")
    put(tmp_path / "nvidia" / "a" / "include" / "x.h", "1234567")
    (tmp_path / "nvidia" / "a" / "lib" / "y.a").symlink_to("x.a")
    freed = trim(tmp_path)
    assert 12 <= freed < 12 + 4200  # folders and links have a few bytes of their own
    assert not list(tmp_path.rglob("*.[ah]"))


def test_a_folder_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "image" / "trim.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is no virtual environment" in done.stderr


# --- harden.sh ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["usr/local/lib/python3.11/site-packages", "usr/lib/python3/dist-packages"]
)
def test_a_base_is_hardened(tmp_path: Path, prefix: str) -> None:
    put(tmp_path / prefix / "pip" / "__init__.py")
    put(tmp_path / prefix / "pip-24.0.dist-info" / "METADATA")
    put(tmp_path / prefix / "setuptools" / "wheel" / "__init__.py")
    put(tmp_path / prefix / "distutils-precedence.pth")
    put(tmp_path / prefix / "other" / "__init__.py")
    put(tmp_path / "usr/local/lib/python3.11/ensurepip/_bundled/pip-24.0-py3-none-any.whl")
    put(tmp_path / "usr/local/bin/pip3.11", mode=0o755)
    python = put(tmp_path / "usr/local/bin/python3.11", mode=0o755)
    su = put(tmp_path / "usr/bin/su", mode=0o4755)
    wall = put(tmp_path / "usr/bin/wall", mode=0o2755)
    put(tmp_path / "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    subprocess.run(["sh", ROOT / "scripts" / "image" / "harden.sh", tmp_path], check=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {
        f"{prefix}/other/__init__.py",
        "usr/local/bin/python3.11",
        "usr/bin/su",
        "usr/bin/wall",
        "etc/passwd",
    }
    assert stat.S_IMODE(python.stat().st_mode) == 0o755
    assert stat.S_IMODE(su.stat().st_mode) == stat.S_IMODE(wall.stat().st_mode) == 0o755
    assert (tmp_path / "etc/passwd").read_text().splitlines()[1].startswith("gradcam:x:10001:0:")
    assert stat.S_IMODE((tmp_path / "run/gradcam").stat().st_mode) == 0o770
    assert (tmp_path / "etc/gradcam/keys").is_dir()


# --- materials.py -------------------------------------------------------------------------------

_SYSTEM = materials.parse_release('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n')


def test_debian_packages_are_named_as_scanners_look_for_them() -> None:
    lines = "libssl3\t3.0.17-1~deb12u3\tamd64\topenssl\nlibstdc++6\t12.2.0-14\tamd64\tgcc-12\n"
    system, ssl, stdcxx = materials.debian_components(lines, _SYSTEM)
    assert system == {"type": "operating-system", "name": "debian", "version": "12"}
    assert (
        ssl["purl"]
        == "pkg:deb/debian/libssl3@3.0.17-1~deb12u3?arch=amd64&distro=debian-12&upstream=openssl"
    )
    assert stdcxx["purl"].startswith("pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?")
    assert (stdcxx["name"], stdcxx["version"]) == ("libstdc++6", "12.2.0-14")


def test_the_java_runtime_is_the_debian_package_that_it_came_from(tmp_path: Path) -> None:
    put(tmp_path / "debian-source", "openjdk-17 17.0.17+10-1~deb12u1\n")
    put(tmp_path / "release", 'JAVA_VERSION="17.0.17"\nMODULES="java.base java.logging"\n')
    component = materials.java_component(tmp_path, _SYSTEM)
    assert component["purl"] == (
        "pkg:deb/debian/openjdk-17@17.0.17%2B10-1~deb12u1?arch=source&distro=debian-12"
    )
    assert "java.base java.logging" in component["description"]


def test_a_jar_of_jars_tells_what_it_can(tmp_path: Path) -> None:
    jar = tmp_path / "server.jar"
    name = "META-INF/io.netty.versions.properties"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr(name, "netty-buffer.version=4.1.53.Final\nnetty-buffer.repoStatus=clean\n")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, "netty-codec.version=4.1.54.Final\n")
        archive.writestr("io/grpc/Server.class", "")
    file, *libraries = materials.jar_components(jar)
    assert file["name"] == "server.jar"
    assert file["hashes"][0]["alg"] == "SHA-256"
    assert [one["purl"] for one in libraries] == [
        "pkg:maven/io.netty/netty-buffer@4.1.53.Final",
        "pkg:maven/io.netty/netty-codec@4.1.54.Final",
        "pkg:maven/io.grpc/grpc-core",
    ]
    assert "version" not in libraries[2]  # the jar does not know


def test_torchserves_own_jar_holds_the_netty_of_2020() -> None:
    package = importlib.util.find_spec("ts")
    assert package is not None
    assert package.origin is not None
    (jar,) = (Path(package.origin).parent / "frontend").glob("*.jar")
    told = {one.get("purl") for one in materials.jar_components(jar)}
    assert "pkg:maven/io.netty/netty-codec-http@4.1.53.Final" in told
    assert {
        f"pkg:maven/{name.replace(':', '/')}" for name in materials.JAR_LIBRARIES.values()
    } <= told


def test_one_document_of_all() -> None:
    python = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"tools": {"components": []}},
        "components": [{"type": "library", "name": "torch", "bom-ref": "torch==2.14.1"}],
    }
    added = [materials.python_component(), {"type": "operating-system", "name": "debian"}]
    document = materials.merged(python, added, "1.2.3")
    assert json.loads(json.dumps(document)) == document
    assert document["metadata"]["component"]["version"] == "1.2.3"
    assert document["metadata"]["tools"] == {"components": []}
    refs = [component["bom-ref"] for component in document["components"]]
    assert refs[0] == "torch==2.14.1"
    assert len(refs) == len(set(refs)) == 3
    assert refs[1] == f"pkg:generic/cpython@{sys.version.split()[0]}"


def test_this_repository_is_checked_out_in_a_way_that_can_be_copied() -> None:
    """harden.sh runs by sh, the other two by python3: neither needs to be executable."""
    for name in ("harden.sh", "trim.py", "materials.py"):
        assert os.access(ROOT / "scripts" / "image" / name, os.R_OK)
