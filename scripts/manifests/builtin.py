"""The schemas of Kubernetes' own kinds, from the package kubernetes-validate.

Only its data is used. Its own ``validate`` falls back to an older version's schema where it has not
the one asked for, takes the group of ``apiVersion`` up to the first dot only, and lets a kind pass
that it does not know.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator

from manifests.keyed_lists import with_keyed_lists
from manifests.resource import Finding, Resource, kind_of, name_of
from manifests.schema_findings import findings_of
from manifests.tightening import tighten

VERSIONS = ("1.37", "1.36", "1.35")
"""The newest version and two older ones."""

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"
_Validator = with_keyed_lists(Draft202012Validator)
_ALWAYS = ("apiVersion", "kind", "metadata")


class UnknownVersionError(Exception):
    """There are no schemas of that version."""


@dataclass(frozen=True)
class Builtin:
    """The kinds of one Kubernetes version.

    Attributes:
        version: Such as ``1.37``.
        definitions: By their long name, each a schema.
        kinds: By ``apiVersion`` and ``kind``, the long name.
    """

    version: str
    definitions: Mapping[str, Any]
    kinds: Mapping[tuple[str, str], str]

    def knows(self, resource: Resource) -> bool:
        """Whether the kind is one of Kubernetes' own."""
        return kind_of(resource) in self.kinds

    def check(self, resource: Resource) -> Iterator[Finding]:
        """What is wrong with a resource of a kind that is known."""
        definition = self.kinds[kind_of(resource)]
        yield from self.check_as(definition, resource, name_of(resource))

    def check_as(
        self, definition: str, value: Any, resource: str, place: str = ""
    ) -> Iterator[Finding]:
        """What is wrong with a value that is to be what a definition says.

        Args:
            definition: Its long name.
            value: The value.
            resource: The resource that it is in, as ``Kind/name``.
            place: Where in that.
        """
        yield from findings_of(
            _validator(self.version, definition), value, resource, place, self.version
        )


@cache
def builtin(version: str) -> Builtin:
    """The kinds of a version, tightened.

    Raises:
        UnknownVersionError: The package is missing, or has none of just that version.
    """
    try:
        folder = files("kubernetes_validate") / "kubernetes-json-schema"
    except ModuleNotFoundError as error:
        raise UnknownVersionError(
            "the package kubernetes-validate, which holds the schemas, is not installed"
        ) from error
    file = folder / f"v{version}.0-local-strict" / "_definitions.json"
    if not file.is_file():
        raise UnknownVersionError(f"kubernetes-validate has no schemas of Kubernetes {version}")
    definitions = tighten(json.loads(file.read_text(encoding="utf-8"))["$defs"])
    kinds = {}
    for name, schema in definitions.items():
        # kinds of the API machinery, such as DeleteOptions, belong to every group
        named = schema.get("x-kubernetes-group-version-kind", ())
        if len(named) == 1 and "metadata" in schema.get("properties", {}):
            (one,) = named
            group = f"{one['group']}/" if one["group"] else ""
            kinds[f"{group}{one['version']}", one["kind"]] = name
            present = {"spec"} & set(schema["properties"])
            schema["required"] = sorted({*schema.get("required", ()), *_ALWAYS, *present})
    return Builtin(version, definitions, kinds)


@cache
def _validator(version: str, definition: str) -> Validator:
    definitions = builtin(version).definitions
    return _Validator({"$ref": f"#/$defs/{definition}", "$defs": definitions})
