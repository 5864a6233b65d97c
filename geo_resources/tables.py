"""Tables of vector files, as runs and commands call them: `tables.publish_table(...)`.

A file goes: `check_target`; `register_source` for a shared table; `create_staging`;
`copy_rows`; `index_staging`; `analyze_staging`; `prepare_target`; `publish_table`.
Every function works in the transaction it is given and commits nothing, but for
`index_staging` and `analyze_staging`, which need two connections. Each step may be
repeated after a kill at any point: only the commit of `publish_table` changes what
readers see. The parts:

- `tables_staging`, `tables_measure`: rows on their way, out of sight;
- `tables_publish`: the moment they are seen, by `tables_swap` or `tables_rows`;
- `tables_columns`, `tables_types`: columns that differ from file to file;
- `tables_catalogue`: which tables there are, and of which files;
- `tables_withdraw`: rows that are taken back.
"""

from geo_resources.tables_catalogue import (
    CatalogueRow,
    find_table,
    register_source,
    sources_of,
)
from geo_resources.tables_indexes import analyze_staging, index_staging
from geo_resources.tables_locks import lock_exclusively, lock_tables
from geo_resources.tables_measure import measure, rows_of, sample_geometries
from geo_resources.tables_model import (
    AppendOnlyConflictError,
    IncompleteCopyError,
    Load,
    Mode,
    Publication,
    Published,
    SchemaConflictError,
    Source,
    StaleSourceError,
    TableChangedError,
    TableError,
    TableFacts,
    TableSpec,
    TableTakenError,
    ledger_id_of,
    staging_name,
)
from geo_resources.tables_publish import (
    check_target,
    prepare_target,
    publish_table,
    publish_tables,
    will_need_indexes,
)
from geo_resources.tables_rows import RowsLostError
from geo_resources.tables_staging import (
    copy_rows,
    create_staging,
    drop_staging,
    sweep_staging,
)
from geo_resources.tables_withdraw import (
    TableWithdrawal,
    plan_table_withdrawal,
    withdraw_table,
)

__all__ = [
    "AppendOnlyConflictError",
    "CatalogueRow",
    "IncompleteCopyError",
    "Load",
    "Mode",
    "Publication",
    "Published",
    "RowsLostError",
    "SchemaConflictError",
    "Source",
    "StaleSourceError",
    "TableChangedError",
    "TableError",
    "TableFacts",
    "TableSpec",
    "TableTakenError",
    "TableWithdrawal",
    "analyze_staging",
    "check_target",
    "copy_rows",
    "create_staging",
    "drop_staging",
    "find_table",
    "index_staging",
    "ledger_id_of",
    "lock_exclusively",
    "lock_tables",
    "measure",
    "plan_table_withdrawal",
    "prepare_target",
    "publish_table",
    "publish_tables",
    "register_source",
    "rows_of",
    "sample_geometries",
    "sources_of",
    "staging_name",
    "sweep_staging",
    "will_need_indexes",
    "withdraw_table",
]
