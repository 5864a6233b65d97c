"""`strata stac`: the catalogue from the command line. Thin, as `main.py` is."""

from pathlib import Path
from typing import Annotated

import typer

from geo_cli.options import AsJson
from geo_resources.settings import Settings

stac = typer.Typer(
    name="stac",
    help="The STAC catalogue: search, validate, export, load, delete.",
    no_args_is_help=True,
)

Collections = Annotated[
    list[str] | None, typer.Argument(help="Names of datasets; all if none is named.")
]


@stac.command()
def search(  # noqa: PLR0913, PLR0917
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", help="Only this one; can be repeated."),
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(help="west,south,east,north in degrees.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--datetime", "-t", help="A time, or START/END; .. is open."),
    ] = None,
    cql2: Annotated[
        str | None, typer.Option("--filter", "-f", help="CQL2, as text or as JSON.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Only this item; can be repeated.")
    ] = None,
    sort_by: Annotated[
        list[str] | None,
        typer.Option("--sort", help="Field, -FIELD for falling; can be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="0: all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find items by place, time and properties; --json gives one item per line.

    Finding none is no error.
    """
    from geo_assets.catalog.search import SearchError, search_body
    from geo_cli.print_catalogue import print_items
    from geo_cli.stac import find_items

    try:
        body = search_body(
            collections=collection or (),
            ids=ids or (),
            bbox=bbox,
            time=time,
            cql2=cql2,
            sort_by=sort_by or (),
        )
    except SearchError as error:
        raise typer.BadParameter(str(error)) from error
    items = find_items(Settings.from_environment(), body, limit or None)
    print_items(items, as_json=as_json)


@stac.command()
def validate(
    collections: Collections = None,
    network: Annotated[
        bool,
        typer.Option(
            "--network", help="Fetch schemas that $STRATA_STAC_SCHEMAS does not hold."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check collections and every item against STAC; exit 1 if any breaks a schema."""
    from geo_cli.print_catalogue import print_validation
    from geo_cli.stac import validate_catalogue

    settings = Settings.from_environment()
    reports = validate_catalogue(settings, collections or (), network=network)
    print_validation(reports, as_json=as_json)
    raise typer.Exit(0 if all(one.valid for one in reports) else 1)


@stac.command()
def export(
    collections: Collections = None,
    form: Annotated[
        str, typer.Option("--format", help="static, geoparquet or both.")
    ] = "both",
    as_json: AsJson = False,
) -> None:
    """Write collections and items into gold: static STAC, stac-geoparquet."""
    from geo_cli.print_catalogue import print_exports
    from geo_cli.stac import FORMS, export_catalogue

    if form not in FORMS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMS)}")
    settings = Settings.from_environment()
    done = export_catalogue(settings, collections or (), FORMS[form])
    print_exports(done, as_json=as_json)


@stac.command()
def load(
    collection: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Collection, as JSON.")
    ],
    items: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Items, one per line.")
    ],
    as_json: AsJson = False,
) -> None:
    """Take a catalogue from elsewhere: its collection, and its items at once.

    All of it or nothing; what is there of the same ids is replaced. Refused for the
    collection of a dataset, whose items belong to files.
    """
    from geo_cli.print_catalogue import print_loaded
    from geo_cli.stac import load_catalogue

    name, count = load_catalogue(Settings.from_environment(), collection, items)
    print_loaded(name, count, as_json=as_json)


@stac.command()
def delete(
    collection: Annotated[str, typer.Argument(help="Id of the collection.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; else only say what would be.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a collection and the items that no file owns. A dry run unless --yes."""
    from geo_cli.print_catalogue import print_deleted
    from geo_cli.stac import delete_collection

    items = delete_collection(Settings.from_environment(), collection, apply=yes)
    print_deleted(collection, items, done=yes, as_json=as_json)
