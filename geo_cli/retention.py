"""`strata retention`: what is old enough to go, counted or deleted."""

from datetime import UTC, datetime

from geo_cli.watch import open_instance
from geo_resources.settings import Settings


def run_retention(settings: Settings, *, apply: bool) -> dict[str, int]:
    """How much of each kind goes by the policy of the settings.

    Args:
        settings: whose instance, database and policy.
        apply: delete; else only count.
    """
    from geo_assets.datasets import read_contracts
    from geo_assets.retention import retain
    from geo_resources.database import Database
    from geo_resources.retention import Retention

    names = [contract.name for contract in read_contracts()]
    database = Database(url=settings.require_database_url())
    try:
        with open_instance(settings) as instance:
            return retain(
                instance,
                database,
                Retention.of(settings),
                names,
                datetime.now(UTC),
                apply=apply,
            )
    finally:
        database.close()
