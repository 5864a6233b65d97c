"""What the commands on inventory and catalogue print."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from geo_cli.report import print_json, print_table

if TYPE_CHECKING:
    from geo_assets.bronze.summary import Found, Group, Inventory
    from geo_assets.catalog.export import Exported
    from geo_assets.catalog.validation import CatalogueReport
    from geo_assets.plan.forecast import Forecast
    from geo_resources.storage_costs import Cost

SHOWN = 12  # rows of each table


def print_inventory(found: "Inventory", *, as_json: bool) -> None:
    """What lies in the containers, in tables."""
    from geo_assets.bronze.summary import size_text

    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    typer.echo(f"{found.blobs} blobs, {size_text(found.bytes)}: {found.href}\n")
    for title, groups in (
        ("container", found.by_container),
        ("dataset", found.by_dataset),
        ("standing", found.by_standing),
        ("kind", found.by_kind),
        ("extension", found.by_extension),
        ("size", found.by_size_class),
    ):
        _print_groups(title, groups)
    typer.echo(f"the same content again: {_found(found.same_content)}")
    typer.echo(f"probably the same scene again: {_found(found.probably_same)}")
    for what, names in found.examples.items():
        typer.echo(f"{what}: {', '.join(names)}")


def _print_groups(title: str, groups: Sequence["Group"]) -> None:
    from geo_assets.bronze.summary import size_text

    rows = [(one.name or "none", one.blobs, size_text(one.bytes)) for one in groups]
    if rows:
        print_table((title, "blobs", "size"), rows[:SHOWN], empty="")


def _found(found: "Found") -> str:
    from geo_assets.bronze.summary import size_text

    return f"{found.blobs} blobs, {size_text(found.bytes)}"


def print_costs(found: Sequence["Cost"], *, as_json: bool) -> None:
    """What keeping the files costs: one object per line, or a table with sums."""
    from geo_assets.bronze.costs import usd_text
    from geo_assets.bronze.summary import size_text

    if as_json:
        for one in found:
            print_json(one._asdict() | {"month": f"{one.month:%Y-%m}"})
        return
    rows = (
        (
            f"{one.month:%Y-%m}",
            one.container,
            one.dataset or "unclaimed",
            one.tier,
            one.access_tier,
            size_text(one.bytes),
            usd_text(one.usd),
        )
        for one in found
    )
    columns = ("month", "container", "dataset", "tier", "stored as", "size", "USD")
    print_table(columns, rows, empty="no inventory of everything yet: strata inventory")
    for month in dict.fromkeys(one.month for one in found):
        total = sum(one.usd for one in found if one.month == month)
        typer.echo(f"{month:%Y-%m}: {usd_text(total)} USD a month")


def print_items(items: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """What a search found: an item per line, or a table."""
    if as_json:
        for item in items:
            print_json(item)
        return
    print_table(
        ("collection", "item", "time", "bbox"),
        map(_item_cells, items),
        empty="no item is found by that",
    )


def _item_cells(item: Mapping[str, Any]) -> Sequence[object]:
    properties = item["properties"]
    interval = f"{properties.get('start_datetime')}/{properties.get('end_datetime')}"
    time = properties.get("datetime") or interval
    bbox = ", ".join(f"{number:.6g}" for number in item["bbox"])
    return item["collection"], item["id"], time, bbox


def print_validation(reports: Sequence["CatalogueReport"], *, as_json: bool) -> None:
    """What validation found, collection by collection."""
    if as_json:
        print_json([one.model_dump(mode="json") for one in reports])
        return
    rows = (
        (one.collection, one.items, one.invalid, len(one.checked), len(one.unchecked))
        for one in reports
    )
    columns = ("collection", "items", "invalid", "schemas asked", "not to be had")
    print_table(columns, rows, empty="there is no collection")
    for one in reports:
        for name, fault in one.faults:
            typer.echo(f"{one.collection}/{name}: {fault}")
    for uri in sorted({uri for one in reports for uri in one.unchecked}):
        typer.echo(f"not asked, for it could not be had: {uri}")


def print_exports(done: Sequence["Exported"], *, as_json: bool) -> None:
    """What was written into gold."""
    if as_json:
        print_json([one._asdict() for one in done])
        return
    rows = ((one.collection, one.kind, one.items, one.bytes, one.href) for one in done)
    columns = ("collection", "export", "items", "bytes", "where")
    print_table(columns, rows, empty="there is no collection")


def print_loaded(collection: str, items: int, *, as_json: bool) -> None:
    """What was loaded."""
    if as_json:
        print_json({"collection": collection, "items": items})
    else:
        typer.echo(f"{items} items are in {collection}")


def print_deleted(collection: str, items: int, *, done: bool, as_json: bool) -> None:
    """What went, or would go, with a collection."""
    if as_json:
        print_json({"done": done, "collection": collection, "items": items})
        return
    typer.echo(f"{'deleted' if done else 'would delete'}\t{collection}, {items} items")
    if not done:
        typer.echo("a dry run: say --yes to do it")


def print_plan(found: Sequence["Forecast"], *, as_json: bool) -> None:
    """What would be made: an object per dataset, or tables."""
    from geo_assets.bronze.summary import size_text

    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    rows = [
        (
            one.dataset,
            one.files,
            size_text(one.bytes),
            one.done,
            f"{len(one.refusals)} of {one.tried}",
            "" if one.tables is None else one.tables,
            "unknown" if one.minutes is None else f"{one.minutes:.1f}",
            "unknown" if not one.memory_bytes else size_text(one.memory_bytes),
        )
        for one in found
    ]
    columns = ("dataset", "files", "size", "accepted", "refused", "tables", "minutes")
    print_table((*columns, "memory"), rows, empty="no file of a dataset is there")
    for one in found:
        _print_forecast(one)


def _print_forecast(one: "Forecast") -> None:
    from geo_assets.bronze.costs import usd_text
    from geo_assets.bronze.summary import size_text

    for kind, made in one.made.items():
        usd = made.usd_per_month
        cost = "" if usd is None else f", {usd_text(usd)} USD a month"
        size = size_text(made.bytes)
        typer.echo(f"{one.dataset}: {kind} {size}{cost} (by {made.basis})")
    if one.rows is not None:
        typer.echo(f"{one.dataset}: {one.rows} rows, {one.rows_refused} refused")
    for why, files in one.skipped.items():
        typer.echo(f"{one.dataset}: not made of {files} tried files: {why}")
    for refusal in one.refusals:
        typer.echo(f"{one.dataset}: {refusal.blob}: {refusal.code}: {refusal.message}")
    if one.too_large:
        typer.echo(f"{one.dataset}: {one.too_large} files were too large to be tried")
    if one.rejected:
        typer.echo(f"{one.dataset}: {one.rejected} files were refused before")
    if one.copies:
        typer.echo(f"{one.dataset}: {one.copies} files have the content of others")
    for table in one.collisions:
        typer.echo(f"{one.dataset}: geo.{table} is there and is not the dataset's")
