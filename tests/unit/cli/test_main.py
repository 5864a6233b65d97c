"""geo_cli.main: help texts and wrong calls, without any service."""

import psycopg
import pytest
from typer.testing import CliRunner

from geo_cli import main
from geo_cli.main import app

COMMANDS = (
    *("up", "down", "doctor", "demo", "dev", "ingest", "run", "status"),
    *("datasets", "unpublish", "retry", "env"),
)


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_text(name):
    overview = invoke("--help").output
    assert f" {name} " in overview
    help_text = invoke(name, "--help")
    assert help_text.exit_code == 0
    assert len(help_text.output.splitlines()) > 3


def test_the_help_states_the_exit_codes():
    text = " ".join(invoke("--help").output.split())
    assert "0 all is well" in text
    assert "130 it was interrupted" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("run",),
        ("status", "--since", "yesterday"),
        ("status", "--watch", "--since", "2025-06-01"),
        ("status", "--watch", "--dataset", "dem"),
        ("status", "--watch", "--json"),
        ("ingest", "/no/such/file"),
        ("ingest",),
        ("unpublish",),
        ("dev", "--port", "many"),
    ],
)
def test_a_wrong_call_exits_with_2(arguments):
    assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (psycopg.errors.LockNotAvailable, "Another command or run holds it."),
        (psycopg.errors.QueryCanceled, "did not end it in time"),
        (psycopg.errors.ConnectionFailure, "Try: strata up"),
        (psycopg.OperationalError, "Try: strata up"),
    ],
)
def test_a_database_that_is_up_is_not_asked_after(monkeypatch, capsys, error, hint):
    def fail():
        raise error("canceling statement")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as ended:
        main.main()
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert told.startswith("strata: canceling statement\n")
    assert hint in told
    assert ("strata up" in told) == ("strata up" in hint)
