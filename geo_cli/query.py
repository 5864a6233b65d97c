"""`strata query`: a question to gold, under the same limits as named queries."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from geo_cli.connections import open_storage
from geo_cli.processes import ServiceError
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_assets.gold.answer import Answer


def ask(settings: Settings, sql: str, limit: int) -> "Answer":
    """The answer, with its first rows.

    Raises:
        ServiceError: the query is refused or wrong, or takes too much.
    """
    from geo_assets.gold.answer import read_answer
    from geo_assets.gold.bureau import answer_query
    from geo_assets.gold.query import QueryError
    from geo_assets.workers import WorkerDeadlineError, WorkerDiedError
    from geo_resources.database import Database
    from geo_resources.query_limits import QueryLimits

    database = Database(url=settings.require_database_url())
    limits = QueryLimits.of(settings)
    storage = open_storage(settings)
    try:
        with tempfile.TemporaryDirectory(prefix="strata-query-") as folder:
            path = answer_query(sql, storage, database, limits, Path(folder))
            return read_answer(path, limit)
    except (QueryError, WorkerDeadlineError, WorkerDiedError) as error:
        raise ServiceError(str(error)) from error
    finally:
        database.close()
