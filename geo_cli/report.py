"""What the commands print: tables for people, JSON for programs."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from geo_resources.settings import Settings

if TYPE_CHECKING:
    from rich.text import Text

    from geo_assets.contract import DatasetContract
    from geo_assets.gold.answer import Answer
    from geo_assets.integrity import Mended
    from geo_cli.doctor import Finding
    from geo_cli.ingest import Outcome
    from geo_cli.promote import Preview
    from geo_resources.promotions import Promotion

CONTAINERS = ("bronze", "silver", "gold")
COLORS = {"accepted": "green", "rejected": "red", "failed": "red", "running": "cyan"}
NARROWEST = 160  # columns: what is piped into a file is not cut to 80


def print_json(value: object) -> None:
    """One JSON value on one line; times as ISO 8601."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str
) -> None:
    """A table without frills; `empty` in its place when there is no row."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    console.print(table if table.row_count else empty)


def _cell(value: object) -> "Text":
    from rich.text import Text

    text = "" if value is None else str(value)
    return Text(text, style=COLORS.get(text, ""), overflow="fold")


def print_services(settings: Settings, *, as_json: bool) -> None:
    """What is up, and where; the database's URL with its password only as JSON."""
    if as_json:
        report = {
            "home": str(settings.home),
            "database_url": settings.require_database_url(),
            "storage": settings.storage,
            "containers": list(CONTAINERS),
        }
        print_json(report)
        return
    where = "private, in " + str(settings.home) if settings.local_database else "named"
    typer.echo(f"database    {where}")
    typer.echo(f"storage     {settings.storage}")
    typer.echo(f"containers  {', '.join(CONTAINERS)}")


def print_findings(findings: Sequence["Finding"], *, as_json: bool) -> None:
    """Every check, and for what is wrong what to do."""
    if as_json:
        print_json([finding.model_dump() for finding in findings])
        return
    for finding in findings:
        typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.name}: ", nl=False)
        typer.echo(finding.found)
        if not finding.ok:
            typer.echo(f"      expected: {finding.expected}")
            typer.echo(f"      to mend:  {finding.fix}")


def print_status(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """The ledger: one JSON object per row and line, or a table."""
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ("dataset", "file", "status", "why", "products", "seen"),
        map(_status_cells, rows),
        empty="no file has arrived yet: strata ingest PATH, or strata demo",
    )


def _status_cells(row: Mapping[str, Any]) -> Sequence[object]:
    why = ": ".join(filter(None, (row["code"], row["message"])))
    seen = row["first_seen"].strftime("%Y-%m-%d %H:%M:%S")
    made = len(row["products"] or ())
    return row["dataset"], row["blob"], row["status"], why, made, seen


def print_outcomes(outcomes: Sequence["Outcome"], *, as_json: bool) -> None:
    """One line per file that was put in."""
    for outcome in outcomes:
        if as_json:
            print_json(outcome.model_dump())
        else:
            typer.echo("\t".join(filter(None, outcome.words())))


def print_datasets(contracts: Sequence["DatasetContract"], *, as_json: bool) -> None:
    """The contracts."""
    if as_json:
        print_json([contract.model_dump(mode="json") for contract in contracts])
        return
    rows = ((one.name, one.title, _source(one), one.makes) for one in contracts)
    columns = ("name", "title", "files", "makes")
    print_table(columns, rows, empty="no dataset: see geo_assets/defs")


def print_answer(answer: "Answer", *, as_json: bool) -> None:
    """The first rows of an answer, and how many there are; as JSON one row per line."""
    if as_json:
        for row in answer.preview:
            print_json(row)
        return
    rows = [[*row.values()] for row in answer.preview]
    print_table([*answer.columns], rows, empty="no row")
    if answer.rows > len(rows):
        typer.echo(f"the first {len(rows)} of {answer.rows} rows: see --limit")


def _source(contract: "DatasetContract") -> str:
    pattern = contract.source.pattern
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return f"{contract.source.container}: {' '.join(patterns)}"


def print_unpublished(
    products: Sequence[Mapping[str, Any]], *, done: bool, as_json: bool
) -> None:
    """What was, or would be, taken back."""
    if as_json:
        print_json({"done": done, "products": list(products)})
        return
    for product in products:
        what = product.get("href") or product.get("table") or product.get("item")
        typer.echo(f"{'took back' if done else 'would take back'}\t{what}")
    if not products:
        typer.echo("nothing is published of that file")
    elif not done:
        typer.echo("a dry run: say --yes to do it")


def print_retried(count: int, *, as_json: bool) -> None:
    """How many files wait for another run."""
    if as_json:
        print_json({"queued": count})
    else:
        typer.echo(f"{count} files queued again; strata run --until-idle takes them")


def print_retention(counts: Mapping[str, int], *, done: bool, as_json: bool) -> None:
    """How much of each kind went, or would go."""
    if as_json:
        print_json({"done": done, **counts})
        return
    for what, count in counts.items():
        typer.echo(f"{count:>8}  {what}")
    if not done:
        typer.echo("a dry run: say --yes to do it")


def print_preview(found: "Preview", *, as_json: bool) -> None:
    """What a promotion would bring, and what stands in its way."""
    if as_json:
        print_json(found._asdict())
        return
    lines = [(one["table"], one["rows"], one["bytes"]) for one in found.tables]
    lines.append(("STAC items", found.items, ""))
    print_table(("what", "rows", "bytes"), lines, empty="nothing")
    typer.echo(f"serves now: {found.serves}")
    for one in found.obstacles:
        typer.echo(f"in the way: {one}")
    if not found.obstacles:
        typer.echo("a dry run: say --yes to do it")


def print_promoted(done: "Promotion", *, as_json: bool) -> None:
    """What serves since."""
    if as_json:
        print_json(done._asdict())
        return
    lines = [
        (one["table"], one["rows"], one["checksum"], one["extent"])
        for one in done.tables
    ]
    items = done.items or {}
    lines.append(("STAC items", items.get("count", 0), items.get("checksum"), None))
    columns = ("what", "rows", "checksum", "extent")
    print_table(columns, lines, empty="nothing serves any more")
    typer.echo(f"{done.action} {done.id}: {done.dataset} serves this now")


def print_repairs(mended: Sequence["Mended"], *, done: bool, as_json: bool) -> None:
    """What is wrong, and what was, or would be, done about it."""
    from geo_assets.integrity import REPAIRS

    if as_json:
        for one in mended:
            repair = REPAIRS[one.finding.kind]
            print_json({**one.finding._asdict(), "repair": repair, "done": one.done})
        return
    rows = (
        (
            one.finding.kind,
            one.finding.thing,
            one.finding.found,
            one.finding.blob,
            REPAIRS[one.finding.kind],
            _mended(one, done=done),
        )
        for one in mended
    )
    columns = ("what", "where", "found", "source", "to mend", "")
    print_table(columns, rows, empty="everything is as the ledger says")
    if mended and not done:
        typer.echo("a dry run: say --yes to do it")


def _mended(one: "Mended", *, done: bool) -> str:
    return ("done" if one.done else "NOT POSSIBLE") if done else ""


def print_exports(settings: Settings) -> None:
    """Shell commands that give a shell these settings, and psql its database."""
    for name, value in {**settings.variables(), **_libpq(settings)}.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _libpq(settings: Settings) -> dict[str, str]:
    """The variables by which psql, pg_dump and ogr2ogr find the database."""
    from psycopg.conninfo import conninfo_to_dict

    known = {"host", "port", "user", "password"}
    parts = conninfo_to_dict(settings.require_database_url())
    found = {f"PG{k.upper()}": str(v) for k, v in parts.items() if k in known and v}
    return {**found, "PGDATABASE": str(parts.get("dbname", ""))}
