"""What the commands on inventory and catalogue print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from geo_cli.report import print_json, print_table

if TYPE_CHECKING:
    from geo_assets.bronze.summary import Found, Group, Inventory

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
