"""Whether STAC JSON keeps to its schemas, and which of them were really asked.

The core schemas ship with pystac. Those of extensions come from a folder, or from the
network if that is allowed; a schema that cannot be had is named as not checked.
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
        errors: one sentence per schema that is not kept, or for JSON that is none.
        checked: URIs of the schemas that were asked.
        unchecked: URIs of schemas that could not be had; nothing is known of them.
    """

    errors: tuple[str, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether no schema that was asked is broken."""
        return not self.errors


def validate_item(
    item: dict[str, Any], schema_dir: Path | None = None, *, network: bool = False
) -> ItemReport:
    """Check an item, or a collection, against core and extension schemas.

    Args:
        item: STAC 1.1 JSON.
        schema_dir: folder of extension schemas, known by their `$id`.
        network: whether schemas that are not in the folder may be fetched.
    """
    try:
        document = json.loads(json.dumps(item, allow_nan=False))
    except ValueError as error:
        return ItemReport(errors=(f"not JSON: {error}",), checked=(), unchecked=())
    schemas = _Schemas(schema_dir, network=network)
    errors, checked, unchecked = [], [], []
    for uri in (_core_uri(document), *document.get("stac_extensions", [])):
        try:
            found = _break_of(document, uri, schemas)
        except Unresolvable:
            unchecked.append(uri)
            continue
        checked.append(uri)
        errors += [f"{uri}: {found}"] if found else []
    return ItemReport(
        errors=tuple(errors), checked=tuple(checked), unchecked=tuple(unchecked)
    )


def _core_uri(document: Document) -> str:
    kind = KINDS.get(document.get("type", ""), "item")
    return CORE.format(document.get("stac_version"), kind=kind)


def _break_of(document: Document, uri: str, schemas: "_Schemas") -> str | None:
    """The clearest fault of the document by one schema.

    Raises:
        Unresolvable: the schema, or one that it refers to, cannot be had.
    """
    resolver = schemas.registry.resolver()
    schema = resolver.lookup(uri).contents
    validator = Draft7Validator(schema, registry=schemas.registry)
    worst = best_match(validator.iter_errors(document))
    return None if worst is None else _sentence(worst)


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
