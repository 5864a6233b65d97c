"""`strata ingest`: files into bronze, through the chain, and what became of each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from geo_assets.contract import DatasetContract
from geo_assets.routing import Router
from geo_cli import services
from geo_cli.connections import open_storage
from geo_cli.processes import ServiceError
from geo_cli.progress import progress
from geo_cli.rows import Row, Version, read_versions
from geo_resources.settings import Settings
from geo_resources.storage import Storage
from geo_resources.transfer import sha256_of

INBOX = "bronze"
WILDCARDS = "*?["
FINAL = {"accepted", "rejected", "duplicate", "ignored"}

Place = tuple[str, str]  # container and blob


class Delivery(BaseModel, frozen=True):
    """A local file and the blob that it became, or already was."""

    path: Path
    version: Version
    unchanged: bool


class Outcome(BaseModel, frozen=True):
    """What became of a file."""

    path: Path
    blob: str
    dataset: str | None
    status: str
    code: str | None = None
    message: str | None = None
    products: int = 0
    unchanged: bool = False

    def words(self) -> list[str | None]:
        """The outcome as the fields of a line."""
        made = f"{self.products} products" if self.products else None
        old = "unchanged" if self.unchanged else None
        return [self.status, self.blob, self.code, self.message, made, old]


def ingest_files(
    settings: Settings, paths: Sequence[Path], dataset: str | None
) -> list[Outcome]:
    """Put files in, run until idle, and read what became of them.

    A file whose very bytes were put in before under the same name is left as it is.

    Args:
        settings: where to.
        paths: files, and folders of files.
        dataset: its folder in bronze is used; omitted: the top of bronze.

    Raises:
        ServiceError: a service cannot be had, or a file fits no dataset of that name.
    """
    from geo_assets.datasets import read_contracts

    settings = services.up(settings)
    contracts = read_contracts()
    targets = [*plan_names(paths, dataset, contracts)]
    require_distinct(targets)
    deliveries = deliver(settings, open_storage(settings), targets)
    finish(settings, deliveries)
    return read_outcomes(settings, deliveries)


def require_distinct(targets: Sequence[tuple[Path, Place]]) -> None:
    """Pass if no two files would become the same blob.

    Raises:
        ServiceError: some would overwrite each other.
    """
    places = Counter(place for _, place in targets)
    double = sorted(blob for (_, blob), count in places.items() if count > 1)
    if double:
        message = f"several files would become {', '.join(double)}"
        raise ServiceError(message)


def plan_names(
    paths: Sequence[Path], dataset: str | None, contracts: Sequence[DatasetContract]
) -> Iterator[tuple[Path, Place]]:
    """Each file with the container and the name that it gets there.

    Raises:
        ServiceError: there is no such dataset, or it would not take the name.
    """
    router = Router(contracts)
    container, prefix = _place(dataset, contracts)
    for path, name in list_files(paths):
        blob = prefix + name
        route = router.route(container, blob)
        if dataset and route.dataset != dataset:
            taker = route.dataset or "no dataset"
            message = f"{path}: as {blob!r} it would go to {taker}, not to {dataset}"
            raise ServiceError(message)
        yield path, (container, blob)


def list_files(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Files with their names: of a folder all below it, by their relative paths."""
    for path in paths:
        if not path.is_dir():
            yield path, path.name
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file, file.relative_to(path).as_posix()


def _place(
    dataset: str | None, contracts: Sequence[DatasetContract]
) -> tuple[str, str]:
    """Container and folder that a dataset's files go to."""
    if dataset is None:
        return INBOX, ""
    for contract in contracts:
        if contract.name == dataset:
            pattern = contract.source.pattern
            first = pattern if isinstance(pattern, str) else pattern[0]
            return contract.source.container, literal_folder(first)
    known = ", ".join(contract.name for contract in contracts)
    message = f"no dataset is called {dataset!r}; there are: {known}"
    raise ServiceError(message)


def literal_folder(pattern: str) -> str:
    """The folders of a glob before its first wildcard, with their closing slash.

    >>> literal_folder("flood_depth/**/*.tif"), literal_folder("**/*.tif")
    ('flood_depth/', '')
    """
    wild = [pattern.find(char) for char in WILDCARDS if char in pattern]
    literal = pattern[: min(wild)] if wild else pattern
    return literal[: literal.rfind("/") + 1]


def deliver(
    settings: Settings, storage: Storage, targets: Sequence[tuple[Path, Place]]
) -> list[Delivery]:
    """Put files into their containers, but for those whose very bytes are there."""
    there = [
        (*place, storage.stat(*place).etag)
        for _, place in targets
        if storage.exists(*place)
    ]
    known = read_versions(settings, there)
    by_place = {version[:2]: row for version, row in known.items()}
    return [
        _deliver(storage, path, place, by_place.get(place)) for path, place in targets
    ]


def _deliver(storage: Storage, path: Path, place: Place, row: Row | None) -> Delivery:
    if row and row["bytes"] == path.stat().st_size and row["sha256"] == sha256_of(path):
        return Delivery(path=path, version=(*place, row["etag"]), unchanged=True)
    etag = storage.upload(*place, path).etag
    return Delivery(path=path, version=(*place, etag), unchanged=False)


def finish(settings: Settings, deliveries: Sequence[Delivery]) -> None:
    """Work until each delivery has found its end; at once if each already has."""
    rows = read_versions(settings, [one.version for one in deliveries])
    ends = [rows[one.version]["status"] for one in deliveries if one.version in rows]
    if len(ends) == len(deliveries) and FINAL.issuperset(ends):
        return
    from geo_cli.until_idle import run_until_idle

    with progress("working") as report:
        run_until_idle(settings, report)


def read_outcomes(settings: Settings, deliveries: Sequence[Delivery]) -> list[Outcome]:
    """What the ledger says of deliveries."""
    rows = read_versions(settings, [one.version for one in deliveries])
    return [_outcome(one, rows.get(one.version)) for one in deliveries]


def _outcome(delivery: Delivery, row: Row | None) -> Outcome:
    _, blob, _ = delivery.version
    known = {"path": delivery.path, "blob": blob, "unchanged": delivery.unchanged}
    if row is None:
        message = "the ledger does not know the file: does its sensor run?"
        return Outcome(**known, dataset=None, status="unknown", message=message)
    facts = {key: row[key] for key in ("dataset", "status", "code", "message")}
    return Outcome(**known, **facts, products=len(row["products"]))
