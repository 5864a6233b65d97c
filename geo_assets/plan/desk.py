"""What would be made, before it is: listing and ledger, and a sample that is tried.

Goes in: which files are meant. Comes out: a `Forecast` per dataset. Nothing is kept,
neither in the ledger nor in a container. What must stay out: Dagster.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from geo_assets.bronze.filters import Filters
from geo_assets.bronze.inventory import Surveyor, listed, watched_containers
from geo_assets.contract import DatasetContract, RasterContract, VectorContract
from geo_assets.errors import SourceError
from geo_assets.faults import diagnose
from geo_assets.plan.forecast import (
    Forecast,
    Made,
    Refusal,
    Trial,
    Tried,
    minutes,
    rates,
    scaled,
)
from geo_assets.vector.desk import with_sidecars
from geo_assets.workers import (
    WorkerDeadlineError,
    WorkerDiedError,
    Workers,
    open_workers,
)
from geo_resources import forecast, inventory
from geo_resources.blobs import ArchivedBlobError, Fetched, RehydratingBlobError
from geo_resources.forecast import Ahead, Sampled
from geo_resources.prices import ACCESS_TIERS, Prices
from geo_resources.products import SourceName
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from geo_assets.catalog.stac import SourceBlob
    from geo_resources.limits import WorkerLimits

CHAINS = ("geo_assets.plan.trial",)
LOST = (WorkerDeadlineError, WorkerDiedError)
COLD = (ArchivedBlobError, RehydratingBlobError)
MOST_TRIAL_BYTES = 256_000_000  # larger files are only looked at
SAMPLE = 12  # files of a dataset that are tried


@dataclass(frozen=True)
class Wanted:
    """Which files are meant.

    Attributes:
        dataset: only of this one.
        prefix: only names that begin so.
        everything: also files that are accepted, as a backfill of all would.
        sample: how many files of a dataset are tried.
    """

    dataset: str | None = None
    prefix: str = ""
    everything: bool = False
    sample: int = SAMPLE


@dataclass(frozen=True)
class Planner:
    """Where to look and what with.

    Attributes:
        limits: of the process in which the files of a dataset are tried.
        cores: that the work may take.
    """

    surveyor: Surveyor
    limits: "WorkerLimits"
    prices: Prices
    cores: int

    def forecast(self, wanted: Wanted) -> list[Forecast]:
        """What would be made, dataset by dataset; those without files are left out.

        Raises:
            LookupError: there is no such dataset.
            MissingContainerError: a container cannot be listed: that is not empty.
        """
        contracts = {one.name: one for one in self.surveyor.router.contracts}
        if wanted.dataset is not None and wanted.dataset not in contracts:
            message = f"there is no dataset {wanted.dataset}; see `strata datasets`"
            raise LookupError(message)
        return [
            self._forecast(contracts[found.dataset], found, sampled, history)
            for found, sampled, history in self._look(wanted)
        ]

    def _look(
        self, wanted: Wanted
    ) -> list[tuple[Ahead, list[Sampled], dict[str, float]]]:
        """What waits, the sample, and what became of files so far."""
        router = self.surveyor.router
        filters = Filters(prefix=wanted.prefix)
        pages = listed(self.surveyor, watched_containers(router), filters)
        with self.surveyor.database.transaction() as connection:
            inventory.collect(connection, pages)
            found = forecast.ahead(connection, everything=wanted.everything)
            return [
                (
                    one,
                    forecast.sample(connection, one.dataset, wanted.sample),
                    forecast.made_per_byte(connection, one.dataset),
                )
                for one in found
                if wanted.dataset in {None, one.dataset}
            ]

    def _forecast(
        self,
        contract: DatasetContract,
        found: Ahead,
        sampled: Sequence[Sampled],
        history: dict[str, float],
    ) -> Forecast:
        with open_workers(1, self.limits, *CHAINS) as workers:
            bench = _Bench(self.surveyor, workers, contract)
            tried = bench.try_files(sampled)
        trials = [one for _, one in tried.trials]
        share = 1.0 if tried.usable is None else tried.usable
        names = [name for one in trials for name in one.tables]
        with self.surveyor.database.transaction() as connection:
            foreign = forecast.foreign_tables(connection, contract.name, names)
        of_vectors = isinstance(contract, VectorContract)
        tables = scaled([len(one.tables) for one in trials], share, found.files)
        if of_vectors and contract.table is not None and trials:
            tables = len({*names})
        rows = [one.rows for one in trials] if of_vectors else []
        refused = [one.rows_refused for one in trials] if of_vectors else []
        peak = max((one.peak_bytes for one in trials), default=0)
        return Forecast(
            **found._asdict(),
            tried=tried.count,
            too_large=tried.too_large,
            usable=tried.usable,
            refusals=tried.refusals,
            made=self._made(tried, history, found.bytes * tried.usable_bytes),
            skipped=Counter(w for one in trials for w in _skipped(one)),
            tables=tables if of_vectors else None,
            rows=scaled(rows, share, found.files),
            rows_refused=scaled(refused, share, found.files),
            collisions=tuple(foreign),
            minutes=minutes(tried, found.files, found.bytes, self.cores),
            memory_bytes=peak * min(self.cores, max(found.files, 1)) or None,
        )

    def _made(
        self, tried: Tried, history: dict[str, float], source_bytes: float
    ) -> dict[str, Made]:
        made = {}
        for kind, (rate, basis) in rates(tried, history).items():
            size = round(rate * source_bytes)
            usd = None
            if kind != "table":
                access_tier = ACCESS_TIERS.get(kind, "Hot")
                usd = self.prices.monthly_usd(size, access_tier)
            made[kind] = Made(bytes=size, usd_per_month=usd, basis=basis)
        return made


@dataclass(frozen=True)
class _Bench:
    """Where the files of a dataset are tried.

    Attributes:
        workers: of this dataset alone: the most that they held is of its files.
    """

    surveyor: Surveyor
    workers: Workers
    contract: DatasetContract

    def try_files(self, sampled: Sequence[Sampled]) -> Tried:
        """Try the files of the sample, one after the other."""
        found = [(one.bytes, self._outcome(one)) for one in sampled]
        trials = [(size, one) for size, one in found if isinstance(one, Trial)]
        refusals = [one for _, one in found if isinstance(one, Refusal)]
        return Tried(
            trials=tuple(trials),
            refusals=tuple(refusals),
            too_large=sum(one is None for _, one in found),
        )

    def _outcome(self, one: Sampled) -> Trial | Refusal | None:
        try:
            return self._try_file(one)
        except SourceError as error:
            code, message = error.code, error.message
        except (*LOST, *COLD) as error:
            code, message = diagnose(error).code, str(error)
        return Refusal(blob=one.name, bytes=one.bytes, code=code, message=message)

    def _try_file(self, one: Sampled) -> Trial | None:
        """What becomes of a file; None if it is too large to be tried.

        Raises:
            SourceError: it cannot be used.
        """
        storage, contract = self.surveyor.storage, self.contract
        if one.bytes > MOST_TRIAL_BYTES:
            if isinstance(contract, RasterContract):
                self._look_at(contract, one)
            return None
        with TemporaryDirectory(dir=self.surveyor.folder) as name:
            folder = Path(name)
            fetched = storage.fetch(one.container, one.name, folder, etag=one.etag)
            blob = source_of(storage, one, fetched)
            if isinstance(contract, RasterContract):
                return self._try_raster(contract, blob, fetched.path, folder)
            vectors = cast("VectorContract", contract)
            return self._try_vector(vectors, one, blob, fetched.path, folder)

    def _look_at(self, contract: RasterContract, one: Sampled) -> None:
        from geo_assets.raster.chain import inspect_raster

        storage = self.surveyor.storage
        source = storage.readable(one.container, one.name, etag=one.etag)
        self.workers.call(
            inspect_raster, 0, source.path, one.bytes, contract, source.options
        )

    def _try_raster(
        self, contract: RasterContract, blob: "SourceBlob", path: Path, folder: Path
    ) -> Trial:
        from geo_assets.plan.trial import try_raster
        from geo_assets.raster.facts import VALIDATED, RasterTask

        work = folder / "work"
        work.mkdir()
        task = RasterTask(
            source=path,
            work=work,
            blob=blob,
            contract=contract,
            stages=(VALIDATED, *(f"cog_{tier}" for tier in contract.wanted_tiers)),
            hrefs={},
            known=None,
            schemas=None,
            threads=1,
        )
        return self.workers.call(try_raster, blob.size_bytes, task)

    def _try_vector(
        self,
        contract: VectorContract,
        one: Sampled,
        blob: "SourceBlob",
        path: Path,
        folder: Path,
    ) -> Trial:
        from geo_assets.plan.trial import try_vector
        from geo_assets.vector.facts import VectorTask

        if contract.sidecars:
            source = SourceName(one.container, one.name)
            path = with_sidecars(self.surveyor.storage, source, path, folder)
        work = folder / "work"
        work.mkdir()
        task = VectorTask(path=path, work=work, blob=blob, contract=contract, threads=1)
        return self.workers.call(try_vector, blob.size_bytes, task)


def source_of(storage: Storage, one: Sampled, fetched: Fetched) -> "SourceBlob":
    """The file as chains know it."""
    from geo_assets.catalog.stac import SourceBlob

    return SourceBlob(
        blob=one.name,
        href=storage.href(one.container, one.name),
        etag=one.etag,
        sha256=fetched.sha256,
        size_bytes=fetched.size_bytes,
        last_modified=one.last_modified,
    )


def _skipped(trial: Trial) -> Iterator[str]:
    for tier, reason in trial.skipped.items():
        yield f"{tier}: {reason}"
