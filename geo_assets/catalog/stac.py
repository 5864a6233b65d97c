"""What all STAC items of ours have in common: links, sizes, extensions, clean JSON."""

import math
from datetime import UTC, datetime
from typing import Any

import pystac
from pydantic import BaseModel, ConfigDict

SCHEMA = "https://stac-extensions.github.io/{}/schema.json"
EXTENSIONS = {  # prefix of its fields: name and version
    "eo:": "eo/v2.0.0",
    "file:": "file/v2.1.0",
    "processing:": "processing/v1.2.0",
    "proj:": "projection/v2.0.0",
    "raster:": "raster/v2.0.0",
    "renders": "render/v2.0.0",
    "sat:": "sat/v1.0.0",
    "table:": "table/v1.2.0",
    "view:": "view/v1.0.0",
}
SHA256_MULTIHASH = "1220"  # multihash: function 0x12, 0x20 bytes


class SourceBlob(BaseModel):
    """The blob version that everything is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blob: str
    href: str
    etag: str
    sha256: str
    size_bytes: int
    last_modified: datetime


def file_fields(size_bytes: int, sha256: str) -> dict[str, Any]:
    """Size and checksum of an asset, or of what a link leads to."""
    return {"file:size": size_bytes, "file:checksum": SHA256_MULTIHASH + sha256}


def links(collection: str, source: SourceBlob) -> list[dict[str, Any]]:
    """To the collection (as a STAC API has it, from the item), and to the source."""
    return [
        {
            "rel": "collection",
            "href": f"../../{collection}",
            "type": pystac.MediaType.JSON,
        },
        derived_from(
            source.blob, source.href, source.etag, source.size_bytes, source.sha256
        ),
    ]


def derived_from(
    blob: str, href: str, etag: str, size_bytes: int, sha256: str, **more: str
) -> dict[str, Any]:
    """A link to a blob version that an item is made of."""
    return {
        "rel": "derived_from",
        "href": href,
        "title": f"{blob}, version {etag}",
        "strata:etag": etag,
        **file_fields(size_bytes, sha256),
        **more,
    }


def extensions(document: dict[str, Any]) -> list[str]:
    """Schemas of the extensions that are used: any other would not validate."""
    fields = set(_member_names(clean(document)))
    used = (
        name
        for prefix, name in EXTENSIONS.items()
        if any(field.startswith(prefix) for field in fields)
    )
    return [SCHEMA.format(name) for name in used]


def _member_names(value: object) -> list[str]:
    if isinstance(value, dict):
        inner = [name for part in value.values() for name in _member_names(part)]
        return [*value, *inner]
    if isinstance(value, list):
        return [name for part in value for name in _member_names(part)]
    return []


def clean(value: Any) -> Any:  # noqa: ANN401 # JSON of any depth
    r"""JSON that PostgreSQL takes: no NaN, infinity, NUL or half characters.

    Members without a value are left out, but `datetime`, which may be null.

    >>> clean({"datetime": None, "a": float("nan"), "b": [1, None], "c": "x\0"})
    {'datetime': None, 'b': [1], 'c': 'x'}
    """
    if isinstance(value, dict):
        cleaned = {_clean_text(key): clean(part) for key, part in value.items()}
        return {k: v for k, v in cleaned.items() if v is not None or k == "datetime"}
    if isinstance(value, list | tuple):
        return [part for part in map(clean, value) if part is not None]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _clean_text(value) if isinstance(value, str) else value


def _clean_text(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def time_text(moment: datetime) -> str:
    """A time as STAC writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
