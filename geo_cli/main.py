"""`strata`: the command line. Each command is thin and imports what it needs itself.

`strata status` must answer at once: nothing here imports Dagster at the top.
"""

import atexit
import gc
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from geo_cli.bronze_commands import costs, inventory, plan
from geo_cli.options import AsJson, Dataset, Yes
from geo_cli.processes import ServiceError
from geo_cli.stac_commands import stac
from geo_resources.settings import Settings

HINTS = {  # by SQLSTATE, for a database that is up
    "55P03": "Another command or run holds it. Try again when that has ended.",
    "57014": "The database did not end it in time. Try again when it has less to do.",
}
HELP = """Files in, checked COGs, PostGIS tables and a STAC catalogue out.

Exit codes: 0 all is well; 1 something was not accepted, is wrong or cannot be had;
2 the command was called in a wrong way; 130 it was interrupted.
State lies in $STRATA_HOME (default: .strata in the checkout); $STRATA_STORAGE and
$STRATA_DATABASE_URL name storage and database of your own."""

app = typer.Typer(
    name="strata",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(stac, name="stac")

for command in (inventory, plan, costs):
    app.command()(command)


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start what is needed: database, schemas, containers. Can be repeated."""
    from geo_cli import services
    from geo_cli.report import print_services

    print_services(services.up(Settings.from_environment()), as_json=as_json)


@app.command()
def down() -> None:
    """Stop everything that `up`, `dev` and `run` started; data stays."""
    from geo_cli import services

    ended = services.down(Settings.from_environment())
    typer.echo(f"stopped: {', '.join(ended)}" if ended else "nothing was running")


@app.command(hidden=True)
def clean(yes: Yes = False) -> None:
    """Stop everything and remove the home with the private database in it."""
    from geo_cli import services

    settings = Settings.from_environment()
    if yes:
        services.clean(settings)
    typer.echo(f"{'removed' if yes else 'would remove'} {settings.home}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part and say how to mend what is wrong; exit 1 if anything is."""
    from geo_cli.doctor import examine
    from geo_cli.report import print_findings

    findings = examine(Settings.from_environment())
    print_findings(findings, as_json=as_json)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def demo() -> None:
    """Take sample files through the whole chain and show what became of them."""
    from geo_cli.demo import run_demo

    run_demo(Settings.from_environment())


@app.command()
def dev(
    port: Annotated[
        int, typer.Option(help="Port of the web interface; another if it is taken.")
    ] = 3000,
) -> None:
    """Run Dagster's web interface and daemon until Ctrl-C."""
    from geo_cli.dev import run_dev

    run_dev(Settings.from_environment(), port)


@app.command()
def ingest(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, help="Files, or folders of files.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Dataset whose folder they go to."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put files into bronze and run until idle; exit 1 if any was not accepted."""
    from geo_cli.ingest import ingest_files
    from geo_cli.report import print_outcomes

    outcomes = ingest_files(Settings.from_environment(), paths, dataset)
    print_outcomes(outcomes, as_json=as_json)
    accepted = all(outcome.status == "accepted" for outcome in outcomes)
    raise typer.Exit(0 if accepted else 1)


@app.command()
def run(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Stop when nothing is left to do.")
    ] = False,
) -> None:
    """Evaluate every sensor, run all that they request; exit 0 when idle.

    What became of single files does not matter for the exit code: see `strata status`.
    """
    from geo_cli.progress import progress
    from geo_cli.until_idle import run_until_idle

    if not until_idle:
        raise typer.BadParameter("say --until-idle; `strata dev` runs for ever")
    with progress("working") as report:
        run_until_idle(Settings.from_environment(), report)


@app.command()
def status(
    since: Annotated[
        datetime | None,
        typer.Option(help="Only files that arrived or ended since (ISO 8601, UTC)."),
    ] = None,
    dataset: Dataset = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show what is at work, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The ledger: what became of every file; --json gives one object per line."""
    from geo_cli.live import watch_work
    from geo_cli.report import print_status
    from geo_cli.rows import read_rows

    if watch:
        if since or dataset or as_json:
            said = "--watch shows all work: without --since, --dataset and --json"
            raise typer.BadParameter(said)
        watch_work(Settings.from_environment())
        return
    rows = read_rows(Settings.from_environment(), since=since, dataset=dataset)
    print_status(rows, as_json=as_json)


@app.command()
def datasets(as_json: AsJson = False) -> None:
    """The datasets and what is made of their files."""
    from geo_assets.datasets import read_contracts
    from geo_cli.report import print_datasets

    print_datasets(read_contracts(), as_json=as_json)


@app.command()
def unpublish(
    blob: Annotated[str, typer.Argument(help="Name of the file in its container.")],
    container: Annotated[str, typer.Option(help="Container of the file.")] = "bronze",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take back what was made of a file. A dry run unless --yes."""
    from geo_cli.report import print_unpublished
    from geo_cli.rows import unpublish_blob

    settings = Settings.from_environment()
    products = unpublish_blob(settings, container, blob, dry_run=not yes)
    print_unpublished(products, done=yes, as_json=as_json)


@app.command()
def retry(
    code: Annotated[
        str | None, typer.Option("--code", "-c", help="Only this error code.")
    ] = None,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Queue again what failed or was rejected; the next run takes it."""
    from geo_cli.report import print_retried
    from geo_cli.rows import retry_rows

    count = retry_rows(Settings.from_environment(), code=code, dataset=dataset)
    print_retried(count, as_json=as_json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, in DuckDB's SQL.")],
    limit: Annotated[int, typer.Option(min=1, help="Most rows to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Ask gold and the ledger: <dataset>.<table>, queries.<name>, ledger.

    Nothing else can be read, nothing written; time and memory are bounded.
    """
    from geo_cli.query import ask
    from geo_cli.report import print_answer

    answer = ask(Settings.from_environment(), sql, limit)
    print_answer(answer, as_json=as_json)


@app.command()
def retention(
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be: the default.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old runs, events, messages and partitions. A dry run unless --yes."""
    from geo_cli.report import print_retention
    from geo_cli.retention import run_retention

    if yes and dry_run:
        raise typer.BadParameter("say --yes or --dry-run, not both")
    counts = run_retention(Settings.from_environment(), apply=yes)
    print_retention(counts, done=yes, as_json=as_json)


@app.command()
def repair(
    share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of files and tables to read again."),
    ] = 1.0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """What is not as the ledger says, and the plan to mend it; --yes does it.

    Exit 1 if something is wrong and was not mended.
    """
    from geo_cli.repair import run_repair
    from geo_cli.report import print_repairs

    mended = run_repair(Settings.from_environment(), share, apply=yes)
    print_repairs(mended, done=yes, as_json=as_json)
    raise typer.Exit(0 if all(one.done for one in mended) else 1)


@app.command()
def promote(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Serve again what was served before.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="copy or data_factory; as the contract says if omitted.")
    ] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let the production database serve what a dataset has made. Dry run unless --yes.

    Exit 1 if something stands in the way, or it failed.
    """
    from geo_cli.promote import Wish, preview, promote_dataset
    from geo_cli.report import print_preview, print_promoted

    settings = Settings.from_environment()
    wish = Wish(dataset, reverse=reverse, engine=engine)
    if yes:
        print_promoted(promote_dataset(settings, wish), as_json=as_json)
        return
    found = preview(settings, wish)
    print_preview(found, as_json=as_json)
    raise typer.Exit(1 if found.obstacles else 0)


@app.command()
def env() -> None:
    """Print exports for a shell: eval "$(strata env)" serves dagster, dg and psql."""
    from geo_cli.report import print_exports

    print_exports(Settings.from_environment())


def main() -> None:
    """Run the command line; what a user can mend is told in a sentence."""
    import psycopg

    atexit.register(gc.freeze)  # else a last look for cycles takes 40 ms
    message = ""
    try:
        app()
    except (ServiceError, LookupError) as error:
        message = str(error.args[0] if error.args else error)
    except ValidationError as error:
        message = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
    except psycopg.OperationalError as error:
        hint = HINTS.get(error.sqlstate or "", "Is the database up? Try: strata up")
        message = f"{str(error).strip()}\n{hint}"
    typer.echo(f"strata: {message}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
