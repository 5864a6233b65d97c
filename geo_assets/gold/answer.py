"""What a query gave, as people see it: rows, schema, a preview."""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

_CHARACTERS = 200  # of a value in a preview
_SCALARS = (bool, int, float, type(None))


class Answer(NamedTuple):
    """The answer to a query."""

    rows: int
    bytes: int
    columns: dict[str, str]
    """Types by name."""
    preview: list[dict[str, Any]]
    """The first rows; what is no number is text."""


def read_answer(path: Path, preview_rows: int) -> Answer:
    """Look at the file that `run_query` wrote; memory is that of a few rows."""
    with pq.ParquetFile(path) as file:
        rows = itertools.islice(
            (
                row
                for batch in file.iter_batches(batch_size=preview_rows)
                for row in batch.to_pylist()
            ),
            preview_rows,
        )
        shown = [{name: _shown(value) for name, value in row.items()} for row in rows]
        columns = {one.name: str(one.type) for one in file.schema_arrow}
        count = file.metadata.num_rows
    return Answer(count, path.stat().st_size, columns, shown)


def _shown(value: object) -> object:
    if isinstance(value, _SCALARS):
        return value
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
