"""A file is tried: all that its run would do, but nothing is kept.

Runs in a worker process. Goes in: a task of the kind's chain. Comes out: a `Trial`.
What must stay out: Dagster, storage, the database.
"""

import resource
import time

from geo_assets.plan.forecast import Trial
from geo_assets.raster.facts import RasterTask
from geo_assets.vector.facts import VectorTask

PEAK_UNIT = 1024  # of ru_maxrss on Linux


def try_raster(task: RasterTask) -> Trial:
    """Make the tiers of the task.

    Raises:
        SourceError: the raster cannot be used.
    """
    from geo_assets.raster.chain import process_raster

    begin = time.process_time()
    facts = process_raster(task).facts
    return Trial(
        made={str(tier): cog.size_bytes for tier, cog in facts.cogs.items()},
        skipped={str(one.tier): one.reason for one in facts.skipped},
        seconds=time.process_time() - begin,
        peak_bytes=_peak_bytes(),
    )


def try_vector(task: VectorTask) -> Trial:
    """Read and clean every row, as if for its table.

    Raises:
        SourceError: the file cannot be used.
    """
    from geo_assets.vector.chain import plan_vector, stream_table

    begin = time.process_time()
    plan, size = plan_vector(task), 0
    names, rows, refused = [], 0, 0
    sink = task.work / "rows"
    for planned in plan.tables:
        sink.write_bytes(b"")
        sent = stream_table(task, plan.source, planned, sink, budget=0)
        if sent.rows or planned.family is None:
            names.append(planned.name)
        size, rows = size + sink.stat().st_size, rows + sent.rows
        refused += sum(sent.tally.refused.values())
    sink.unlink(missing_ok=True)
    return Trial(
        made={"table": size},
        tables=tuple(names),
        rows=rows,
        rows_refused=refused,
        seconds=time.process_time() - begin,
        peak_bytes=_peak_bytes(),
    )


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT
