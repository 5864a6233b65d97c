"""A plain Dagster project: one asset, one partition per file, one run per partition.

What one writes first. The body reads a tiny raster and makes nothing of it; the sensor
asks for a run per new file, by its name.
"""

import os
from pathlib import Path

import dagster as dg

FILES = dg.DynamicPartitionsDefinition(name="files")
INBOX = Path(os.environ.get("PLAIN_INBOX", "."))


@dg.asset(partitions_def=FILES)
def raster(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Header of the file."""
    import rasterio

    with rasterio.open(INBOX / context.partition_key) as dataset:
        return dg.MaterializeResult(metadata={"width": dataset.width})


job = dg.define_asset_job("raster_job", [raster])


@dg.sensor(
    job=job,
    minimum_interval_seconds=2,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """A run per file that is new since the last tick."""
    known = set(context.instance.get_dynamic_partitions("files"))
    new = sorted({path.name for path in INBOX.iterdir()} - known)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=one, partition_key=one) for one in new],
        dynamic_partitions_requests=[FILES.build_add_request(new)],
    )


defs = dg.Definitions(
    assets=[raster],
    jobs=[job],
    sensors=[arrivals],
    executor=dg.in_process_executor,
)
