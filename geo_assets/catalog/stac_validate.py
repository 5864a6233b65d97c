"""Whether STAC JSON keeps to its schemas, and which of them were really asked.

The core schemas of STAC 1.1 ship with pystac. Those of extensions, and of other
versions, come from a folder, or from the network if that is allowed; a schema that
cannot be had is named as not checked. Without the core's a document is not valid.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError, best_match
from pydantic import BaseModel
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT7, Schema, SchemaRegistry, SchemaResource

CORE = "https://schemas.stacspec.org/v{}/{kind}-spec/json-schema/{kind}.json"
KINDS = {"Feature": "item", "Collection": "collection"}
TIMEOUT_S = 10
Document = dict[str, Any]


class ItemReport(BaseModel, frozen=True):
    """What validation found.

    Attributes:
        errors: one sentence per schema that is not kept, or for JSON that is none, or
            that the core cannot be asked about.
        checked: URIs of the schemas that were asked.
        unchecked: URIs of schemas that could not be had; nothing is known of them.
    """

    errors: tuple[str, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether the core was asked, and no schema that was asked is broken."""
        return not self.errors


def validate_item(
    item: dict[str, Any], schema_dir: Path | None = None, *, network: bool = False
) -> ItemReport:
    """Check an item, or a collection, against core and extension schemas.

    Args:
        item: STAC JSON.
        schema_dir: folder of extension schemas, known by their `$id`.
        network: whether schemas that are not in the folder may be fetched.
    """
    return StacValidator(schema_dir, network=network).check(item)


class StacValidator:
    """Core and extension schemas, ready for many documents.

    Args:
        schema_dir: folder of extension schemas, known by their `$id`.
        network: whether schemas that are not in the folder may be fetched.
    """

    def __init__(self, schema_dir: Path | None, *, network: bool) -> None:
        self._schemas = _Schemas(schema_dir, network=network)
        self._validators: dict[str, Draft7Validator | None] = {}

    def check(self, item: dict[str, Any]) -> ItemReport:
        """Check an item or a collection, STAC JSON."""
        try:
            document = json.loads(json.dumps(item, allow_nan=False))
        except ValueError as error:
            return ItemReport(errors=(f"not JSON: {error}",), checked=(), unchecked=())
        core = _core_uri(document)
        if core is None:
            wrong = "the document: 'stac_version' is a required property"
            return ItemReport(errors=(wrong,), checked=(), unchecked=())
        errors, checked, unchecked = [], [], []
        for uri in (core, *document.get("stac_extensions", [])):
            try:
                found = self._break_of(document, uri)
            except Unresolvable:
                unchecked.append(uri)
                errors += [f"{uri}: this schema is not at hand"] if uri == core else []
                continue
            checked.append(uri)
            errors += [f"{uri}: {found}"] if found else []
        return ItemReport(
            errors=tuple(errors), checked=tuple(checked), unchecked=tuple(unchecked)
        )

    def _break_of(self, document: Document, uri: str) -> str | None:
        """The clearest fault of the document by one schema.

        Raises:
            Unresolvable: the schema, or one that it refers to, cannot be had.
        """
        if uri not in self._validators:
            self._validators[uri] = None  # a second document does not wait for it
            self._validators[uri] = self._schemas.validator(uri)
        validator = self._validators[uri]
        if validator is None:
            raise Unresolvable(ref=uri)
        worst = best_match(validator.iter_errors(document))
        return None if worst is None else _sentence(worst)


def _core_uri(document: Document) -> str | None:
    """None if the document names no version of STAC."""
    version = document.get("stac_version")
    kind = KINDS.get(document.get("type", ""), "item")
    return CORE.format(version, kind=kind) if version else None


def _sentence(error: ValidationError) -> str:
    place = "/".join(map(str, error.absolute_path)) or "the document"
    return f"{place}: {error.message[:500]}"


class _Schemas:
    """All schemas that can be had, by URI."""

    def __init__(self, folder: Path | None, *, network: bool) -> None:
        self._network = network
        known = [*_core_schemas(), *(_folder_schemas(folder) if folder else ())]
        empty: SchemaRegistry = Registry(retrieve=self._fetch)
        self.registry = empty.with_resources(known)

    def validator(self, uri: str) -> Draft7Validator:
        """A validator by one schema.

        Raises:
            Unresolvable: the schema cannot be had.
        """
        schema = self.registry.resolver().lookup(uri).contents
        return Draft7Validator(schema, registry=self.registry)

    def _fetch(self, uri: str) -> SchemaResource:
        if not self._network or not uri.startswith("https://"):
            raise NoSuchResource(ref=uri)
        schema = _download(uri)
        if schema is None:
            raise NoSuchResource(ref=uri)
        return DRAFT7.create_resource(schema)


Known = tuple[tuple[str, SchemaResource], ...]


@lru_cache(maxsize=1)
def _core_schemas() -> Known:
    return _resources(get_local_schema_cache())


@lru_cache(maxsize=8)
def _folder_schemas(folder: Path) -> Known:
    found = (json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json")))
    return _resources({one["$id"].rstrip("#"): one for one in found if "$id" in one})


def _resources(schemas: Mapping[str, Schema]) -> Known:
    items = schemas.items()
    return tuple((uri, DRAFT7.create_resource(schema)) for uri, schema in items)


@lru_cache(maxsize=64)
def _download(uri: str) -> Schema | None:
    """The schema at an https address; None if it cannot be fetched now."""
    try:
        with urlopen(uri, timeout=TIMEOUT_S) as answer:  # noqa: S310 # https only
            return json.loads(answer.read())
    except (URLError, TimeoutError, ValueError):
        return None
