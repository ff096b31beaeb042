"""The schemas of custom resources, from their definitions (CustomResourceDefinition)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator

from manifests.builtin import OBJECT_META, VERSIONS, builtin
from manifests.keyed_lists import with_keyed_lists
from manifests.resource import Finding, Resource, kind_of, name_of
from manifests.schema_findings import findings_of

_Validator = with_keyed_lists(Draft202012Validator)
_INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


class DefinitionError(Exception):
    """A file is not a definition of custom resources."""


@dataclass(frozen=True)
class Custom:
    """Custom kinds.

    Attributes:
        validators: By ``apiVersion`` and ``kind``.
    """

    validators: Mapping[tuple[str, str], Validator]

    def knows(self, resource: Resource) -> bool:
        """Whether its definition is here."""
        return kind_of(resource) in self.validators

    def check(self, resource: Resource) -> Iterator[Finding]:
        """What is wrong with a resource of a kind that is known.

        Rules in the Common Expression Language (x-kubernetes-validations) are not evaluated.
        """
        yield from findings_of(self.validators[kind_of(resource)], resource, name_of(resource))
        yield from builtin(VERSIONS[0]).check_as(
            OBJECT_META, resource.get("metadata"), name_of(resource), "metadata"
        )


def read_definitions(folder: Path) -> Custom:
    """Reads all ``*.yaml`` and ``*.yml`` files of a folder.

    Raises:
        DefinitionError: There are none, or one holds something else.
    """
    paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not paths:
        raise DefinitionError(f"{folder} holds no .yaml file")
    validators: dict[tuple[str, str], Validator] = {}
    for path in paths:
        try:
            documents = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=_LOADER))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DefinitionError(f"{path} is not YAML: {error}") from error
        for document in filter(None, documents):
            validators |= _of_definition(path, document)
    return Custom(validators)


# the C loader where there is one, for one of the definitions has 39,000 lines
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _of_definition(path: Path, document: Any) -> dict[tuple[str, str], Validator]:
    if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
        raise DefinitionError(f"{path} holds something that is not a CustomResourceDefinition")
    spec = document["spec"]
    kind = spec["names"]["kind"]
    return {
        (f"{spec['group']}/{version['name']}", kind): _Validator(
            _resource_schema(version["schema"]["openAPIV3Schema"])
        )
        for version in spec["versions"]
        if version["served"]
    }


def _resource_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A custom resource's whole schema; what stands under ``metadata`` is Kubernetes' own."""
    strict = _strict(schema)
    strict["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **strict.get("properties", {}),
        "metadata": {"type": "object"},
    }
    present = {"spec"} & set(strict["properties"])
    always = {"apiVersion", "kind", "metadata"}
    strict["required"] = sorted({*strict.get("required", ()), *always, *present})
    return strict


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI schema as a JSON schema under which a field that is not named is an error.

    The API server would drop such a field in silence.
    """
    strict = dict(schema)
    if schema.get("x-kubernetes-int-or-string"):
        strict = {**_INT_OR_STRING, **strict}
    if "properties" in schema:
        strict["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
    if isinstance(schema.get("items"), Mapping):
        strict["items"] = _strict(schema["items"])
    if isinstance(schema.get("additionalProperties"), Mapping):
        strict["additionalProperties"] = _strict(schema["additionalProperties"])
    elif (
        schema.get("type") == "object"
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
        and not schema.get("x-kubernetes-embedded-resource")
    ):
        strict["additionalProperties"] = False
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, strict]}
    return strict
