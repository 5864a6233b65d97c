"""What a stack has made of its files, in a form that two stacks can be compared in.

In goes a stack that has come to rest; out come its ledger, products and orphans. Fields
that say when or by which run something was made are left out, and so is what a schedule
makes: whether its hour comes says nothing of the files. Addresses are cut down to what
does not depend on where the stack lies.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import psycopg
from psycopg import sql

from bench.stack import Stack
from geo_assets.catalog.quality import QUALITY
from geo_assets.gold.queries import GROUP
from geo_assets.naming import INVENTORIES
from tests.e2e.platform import files_below
from tests.faults.fault_files import Fate

VOLATILE = {"created", "updated", "processing:datetime"}  # of items
DATA_VERSION = re.compile(r'("strata:data_version": ")[0-9a-f]+')  # of the etag, too
OF_THE_TIME_OF_ARRIVAL = {"datetime", "start_datetime", "end_datetime"}
BY_THE_CLOCK = re.compile(rf"gold/({INVENTORIES}/|{GROUP}/|[^/]+/{QUALITY}\.)")
BY_ARRIVAL = "blob"  # what items say when the file says nothing of its time
Json = dict[str, Any]


class Harvest(NamedTuple):
    """Everything that must be the same, however the way there was."""

    rows: dict[str, list[Json]]
    """By blob: each of its versions."""
    blobs: dict[str, str]
    """Digest of everything in silver and gold; of JSON what it says."""
    tables: dict[str, str]
    """Digest of every table's rows and columns."""
    items: dict[str, str]
    """What every item in pgSTAC says."""
    orphans: list[str]
    """What nobody owns, and what is owned and not there."""


COLUMNS = """
SELECT blob, status, code, sha256, bytes, rows_read, rows_loaded, rows_rejected,
    dataset, present, products
FROM ops.ledger ORDER BY blob, id
"""


def reap(stack: Stack) -> Harvest:
    """What there is."""
    plain = Plain(stack)
    rows: dict[str, list[Json]] = {}
    for row in stack.ask(COLUMNS):
        rows.setdefault(row.pop("blob"), []).append(_plain_row(plain, row))
    silver, gold = stack.blobs.read("silver"), stack.blobs.read("gold")
    found = {f"silver/{name}": data for name, data in silver.items()}
    found |= {f"gold/{name}": data for name, data in gold.items()}
    found = {k: v for k, v in found.items() if not BY_THE_CLOCK.match(k)}
    items = stack.ask("SELECT collection, id, content FROM pgstac.items")
    return Harvest(
        rows=rows,
        blobs={name: plain.content(name, one) for name, one in found.items()},
        tables={name: _digest_table(stack, name) for name in _tables(stack)},
        items={
            f"{one['collection']}/{one['id']}": plain.document(one["content"])
            for one in items
        },
        orphans=[*_orphans(stack, rows, found)],
    )


class Plain:
    """Leaves out of documents what may differ; addresses then begin with `@`."""

    def __init__(self, stack: Stack) -> None:
        self._words = dict.fromkeys(stack.blobs.roots(), "@")
        for row in stack.ask("SELECT blob, etag FROM ops.ledger"):
            self._words[row["etag"].strip('"')] = f"version of {row['blob']}"

    def content(self, name: str, data: bytes) -> str:
        """What a file says, if it is JSON; else its digest."""
        if not name.endswith(".json"):
            return _digest(data)
        return self.document(json.loads(data))

    def document(self, found: Json) -> str:
        """The same text for documents that say the same."""
        properties = found.get("properties", {})
        drop = set(VOLATILE)
        if properties.get("strata:datetime_source") == BY_ARRIVAL:
            drop |= OF_THE_TIME_OF_ARRIVAL
        kept = {k: v for k, v in properties.items() if k not in drop}
        text = json.dumps(found | ({"properties": kept} if properties else {}))
        text = DATA_VERSION.sub(r"\1", text)
        for word, plain in self._words.items():
            text = text.replace(word, plain)
        return json.dumps(json.loads(text), sort_keys=True)


def _plain_row(plain: Plain, row: Json) -> Json:
    products = [json.loads(plain.document(one)) for one in row["products"]]
    for one in products:
        if str(one.get("href", "")).endswith(".json"):
            one.pop("bytes", None)  # the time in it has more or fewer digits
    return row | {"products": sorted(products, key=json.dumps)}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _tables(stack: Stack) -> list[str]:
    query = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace"
    rows = stack.ask(f"{query} = 'geo'::regnamespace ORDER BY relname")
    return [row["relname"] for row in rows]


def _digest_table(stack: Stack, name: str) -> str:
    """Of the rows, whatever their order, and of indexes and columns."""
    table = sql.Identifier("geo", name)
    query = sql.SQL("SELECT md5(t::text) AS row FROM {} AS t ORDER BY 1").format(table)
    with psycopg.connect(stack.settings.require_database_url()) as connection:
        rows = connection.execute(query).fetchall()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'geo' "
            "AND tablename = %s ORDER BY 1",
            [name],
        ).fetchall()
    return _digest(repr((rows, indexes)).encode())


def _orphans(
    stack: Stack, rows: Mapping[str, list[Json]], found: Mapping[str, bytes]
) -> Iterator[str]:
    """Differences between what the ledger owns and what lies about."""
    owned = [one for row in rows.values() for one in _owned(row)]
    yield from _unequal("blob", _hrefs(owned), set(found))
    tables = {str(one["table"]).split(".")[-1] for one in owned if "table" in one}
    yield from _unequal("table", tables, set(_tables(stack)))
    items = stack.ask("SELECT collection || '/' || id AS name FROM pgstac.items")
    named = {f"{one['collection']}/{one['item']}" for one in owned if "item" in one}
    yield from _unequal("item", named, {one["name"] for one in items})
    owners = stack.ask("SELECT count(*) FROM ops.product_owners")[0]["count"]
    if owners != len(owned):
        yield f"{owners} product owners for {len(owned)} products"
    deletions = stack.ask("SELECT count(*) FROM ops.deletions")[0]["count"]
    if deletions:
        yield f"{deletions} deletions that are still to be done"
    left = [*_left_behind(stack)]
    if left:
        yield f"{len(left)} files in scratch, {left[0]}"


def _left_behind(stack: Stack) -> Iterator[Path]:
    """Files in scratch, but those of schedules at their hour."""
    left = [*files_below(stack.scratch)]
    runs = stack.ask_dagster(
        "SELECT run_id FROM run_tags WHERE key = 'dagster/schedule_name'"
    )
    by_clock = {row["run_id"] for row in runs}
    for path in left:
        if path.relative_to(stack.scratch).parts[0] not in by_clock:
            yield path


def _owned(versions: list[Json]) -> Iterator[Json]:
    for version in versions:
        yield from version["products"]


def _hrefs(products: list[Json]) -> set[str]:
    """Container and name of every blob that is owned, as the containers have it."""
    hrefs = (one["href"] for one in products if "href" in one)
    short = (one.removeprefix("az://").removeprefix("@/") for one in hrefs)
    return {unquote(one) for one in short}


def _unequal(what: str, owned: set[str], found: set[str]) -> Iterator[str]:
    for name in sorted(found - owned):
        yield f"orphan {what} {name}"
    for name in sorted(owned - found):
        yield f"missing {what} {name}"


def compare(
    fates: Mapping[str, Fate], expected: Harvest, found: Harvest
) -> Iterator[str]:
    """Every difference to what is known of the files, and to the undisturbed run."""
    yield from fate_differences(fates, found)
    for blob in sorted(expected.rows.keys() & found.rows.keys()):
        if expected.rows[blob] != found.rows[blob]:
            yield f"row of {blob}: {_changed(expected.rows[blob], found.rows[blob])}"
    for what in ("blobs", "tables", "items"):
        before, after = getattr(expected, what), getattr(found, what)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                told = _difference(before.get(name), after.get(name))
                yield f"{what[:-1]} {name}: {told}"


def _difference(before: str | None, after: str | None) -> str:
    """Two digests, or the members in which two documents differ."""
    if not before or not after or not before.startswith("{"):
        return f"{_short(before)} -> {_short(after)}"
    old, new = dict(_members(json.loads(before))), dict(_members(json.loads(after)))
    names = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    return "; ".join(f"{k} {old.get(k)} -> {new.get(k)}" for k in names)


def _short(text: str | None) -> str:
    return "nothing" if text is None else text[:40]


def _members(document: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a document with its path."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _members(value, f"{path}/{key}")
    elif isinstance(document, list):
        for i, value in enumerate(document):
            yield from _members(value, f"{path}/{i}")
    else:
        yield path, document


def fate_differences(fates: Mapping[str, Fate], found: Harvest) -> Iterator[str]:
    """Rows that are not what the making of the files says, and orphans."""
    for blob in sorted(fates.keys() | found.rows.keys()):
        versions = found.rows.get(blob, [])
        states = Counter(Fate(one["status"], one["code"]) for one in versions)
        wanted = Counter([fates[blob]] if blob in fates else [])
        if states != wanted:
            yield f"row of {blob}: {[*states.elements()]}, not {[*wanted]}"
    yield from found.orphans


def _changed(before: list[Json], after: list[Json]) -> str:
    """The columns that differ, of rows that both have."""
    pairs = zip(before, after, strict=False)
    found = [f"{k} {a[k]} -> {b[k]}" for a, b in pairs for k in a if a[k] != b[k]]
    return "; ".join(found) or f"{len(before)} -> {len(after)} versions"
