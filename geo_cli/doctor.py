"""`strata doctor`: every part looked at, and what to do about what is wrong."""

import psycopg

from geo_cli.breaker_checks import check_breakers
from geo_cli.daemon import dagster_url, heartbeat_age_seconds, is_daemon_running
from geo_cli.database_checks import check_database, check_production
from geo_cli.deletion_checks import check_deletions
from geo_cli.findings import Finding
from geo_cli.machine_checks import check_machine
from geo_cli.messages_checks import check_messages
from geo_cli.pgbouncer import find_pgbouncer
from geo_cli.storage_checks import check_storage
from geo_resources.settings import Settings


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which things depend on each other."""
    return [
        *check_machine(settings),
        *check_storage(settings),
        *check_database(settings),
        *check_production(settings),
        check_pooler(settings),
        check_daemon(settings),
        *check_messages(settings),
        *check_deletions(settings),
        *check_breakers(settings),
    ]


def check_pooler(settings: Settings) -> Finding:
    """PgBouncer before Dagster's storage; doing without it is slower, not wrong."""
    direct = settings.local_database and find_pgbouncer() is None
    return Finding(
        name="pgbouncer",
        ok=True,
        found="not installed: Dagster goes to the database directly, which is slower"
        if direct
        else "installed"
        if settings.local_database
        else "yours: name its port in STRATA_DAGSTER_URL",
        expected="PgBouncer in session mode before Dagster's storage",
        fix="apt-get install pgbouncer, then: strata up",
    )


def check_daemon(settings: Settings) -> Finding:
    """A Dagster daemon that is alive: without one nothing that arrives is taken."""
    try:
        running = is_daemon_running(settings)
        age = heartbeat_age_seconds(dagster_url(settings))
        found = "no heartbeat" if age is None else f"last heartbeat {age:.0f} s ago"
    except (psycopg.OperationalError, LookupError) as error:
        running, found = False, f"Dagster's storage: {str(error).strip()}"
    return Finding(
        name="daemon",
        ok=running,
        found=found,
        expected="a daemon with a heartbeat in the last minute",
        fix="strata dev (or, from cron: strata run --until-idle)",
    )
