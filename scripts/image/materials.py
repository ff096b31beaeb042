"""Writes the image's bill of materials: one CycloneDX document of all that was brought together.

cyclonedx-py lists the Python packages. Added are Debian's packages, the Java runtime, Python
itself, and what the jar of TorchServe's frontend is known to hold; the result is validated. It runs
in the image, with the Python that cyclonedx-py is installed for.
"""

import argparse
import hashlib
import importlib
import json
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]
"""A component as CycloneDX 1.6 writes it."""

JAR_LIBRARIES: Mapping[str, str] = {
    "com/google/gson/": "com.google.code.gson:gson",
    "com/google/protobuf/": "com.google.protobuf:protobuf-java",
    "io/grpc/": "io.grpc:grpc-core",
    "io/prometheus/client/": "io.prometheus:simpleclient",
    "org/apache/commons/cli/": "commons-cli:commons-cli",
    "org/apache/logging/log4j/core/": "org.apache.logging.log4j:log4j-core",
    "org/yaml/snakeyaml/": "org.yaml:snakeyaml",
}
"""Libraries that the jar holds without saying in which version, by a folder of theirs."""

_NETTY_VERSIONS = "META-INF/io.netty.versions.properties"
_EXAMPLE = """
example, in the Dockerfile:
  /opt/tools/bin/python materials.py --venv /opt/venv --java /opt/java --version 1.0 --output x.json
"""


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--venv", type=Path, required=True, help="the environment that serves")
    parser.add_argument("--java", type=Path, required=True, help="the Java runtime that serves")
    parser.add_argument("--version", required=True, help="the image's")
    parser.add_argument("--output", type=Path, required=True, help="where the document goes")
    arguments = parser.parse_args()
    system = parse_release(Path("/etc/os-release").read_text(encoding="utf-8"))
    packages = _run(
        "dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${source:Package}\n"
    )
    jars = sorted(arguments.venv.glob("lib/python3*/site-packages/ts/frontend/*.jar"))
    document = json.loads(_python_packages(arguments.venv))
    added = [
        *debian_components(packages, system),
        java_component(arguments.java, system),
        python_component(),
        *(component for jar in jars for component in jar_components(jar)),
    ]
    text = json.dumps(merged(document, added, arguments.version), indent=1, ensure_ascii=False)
    _validate(text)
    arguments.output.write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.output}: {len(json.loads(text)['components'])} components")
    return 0


def merged(document: Mapping[str, Any], added: list[Component], version: str) -> dict[str, Any]:
    """cyclonedx-py's document with more components, as one of an image.

    Args:
        document: Of the Python packages.
        added: All else; each gets its package URL as its reference.
        version: The image's.
    """
    for component in added:
        component.setdefault("bom-ref", component.get("purl", component["name"]))
    image = {
        "type": "container",
        "bom-ref": "torchserve-gradcam",
        "name": "torchserve-gradcam",
        "version": version,
    }
    return {
        **document,
        "metadata": {**document.get("metadata", {}), "component": image},
        "components": [*document.get("components", []), *added],
    }


def debian_components(packages: str, system: Mapping[str, str]) -> Iterator[Component]:
    """The system and its packages.

    Args:
        packages: dpkg's lines: name, version, architecture and source package, between tabs.
        system: What ``/etc/os-release`` says.
    """
    distribution = f"{system['ID']}-{system.get('VERSION_ID', 'unknown')}"
    yield {
        "type": "operating-system",
        "name": system["ID"],
        "version": system.get("VERSION_ID", "unknown"),
    }
    for line in packages.splitlines():
        name, version, architecture, source = line.split("\t")
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}"
            f"?arch={architecture}&distro={distribution}&upstream={quote(source)}",
        }


def java_component(folder: Path, system: Mapping[str, str]) -> Component:
    """The Java runtime, as the Debian package that it was linked from.

    Args:
        folder: Where it lies; its ``debian-source`` has that package's name and version.
        system: What ``/etc/os-release`` says.
    """
    source, version = (folder / "debian-source").read_text(encoding="utf-8").split()
    told = parse_release((folder / "release").read_text(encoding="utf-8"))
    return {
        "type": "platform",
        "name": source,
        "version": version,
        "description": f"Java {told['JAVA_VERSION']}, reduced to the modules {told['MODULES']}",
        "purl": f"pkg:deb/{system['ID']}/{quote(source)}@{quote(version)}?arch=source"
        f"&distro={system['ID']}-{system.get('VERSION_ID', 'unknown')}",
    }


def python_component() -> Component:
    """The interpreter, which official Python images have from no package."""
    version = platform.python_version()
    return {
        "type": "platform",
        "name": "cpython",
        "version": version,
        "purl": f"pkg:generic/cpython@{version}",
        "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
    }


def jar_components(jar: Path) -> Iterator[Component]:
    """A jar that holds other libraries: itself by its hash, and what can be told of those.

    Netty's parts say their version. Others are named without one, because the jar does not know.
    """
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    yield {
        "type": "file",
        "name": jar.name,
        "bom-ref": f"sha256:{digest}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    with zipfile.ZipFile(jar) as archive:
        # every netty library brought a file of this name, and all of them are there
        told = [
            archive.read(entry) for entry in archive.infolist() if entry.filename == _NETTY_VERSIONS
        ]
        names = archive.namelist()
    text = "\n".join(one.decode("latin-1") for one in told)
    for name, version in sorted(set(re.findall(r"^([\w-]+)\.version=(\S+)$", text, re.MULTILINE))):
        yield _maven("io.netty", name, version)
    for folder, coordinates in JAR_LIBRARIES.items():
        if any(name.startswith(folder) for name in names):
            group, _, name = coordinates.partition(":")
            yield _maven(group, name, None)


def parse_release(text: str) -> dict[str, str]:
    """``KEY=value`` lines, as ``/etc/os-release`` and a Java runtime's ``release`` have them."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip().strip('"') for key, _, value in pairs}


def _maven(group: str, name: str, version: str | None) -> Component:
    component: Component = {"type": "library", "group": group, "name": name}
    component["purl"] = f"pkg:maven/{group}/{name}"
    if version is None:
        component["description"] = (
            "in TorchServe's model-server.jar, which does not say its version"
        )
    else:
        component["version"] = version
        component["purl"] += f"@{version}"
    return component


def _python_packages(venv: Path) -> str:
    # without the serial number and the time, the same packages give the same document
    return _run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"),
        *("--spec-version", "1.6", "--output-format", "JSON", str(venv / "bin" / "python")),
    )


def _validate(text: str) -> None:
    # cyclonedx-py's own library, which only the image's build has
    schema = importlib.import_module("cyclonedx.schema")
    validation = importlib.import_module("cyclonedx.validation.json")
    problem = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        sys.exit(f"error: the document is not valid CycloneDX: {problem}")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
