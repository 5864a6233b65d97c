"""Zip archives: which sources lie in them, unpacked under names of our own."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from geo_assets.contract import VectorContract
from geo_assets.errors import (
    ExternalReferenceError,
    MissingSidecarError,
    NoFeaturesError,
    NoGeometryError,
    SourceError,
    UnsupportedFormatError,
)
from geo_assets.vector.archive import Archive, Member, open_archive
from geo_assets.vector.choice import NOT_NAMED, Found, wanted
from geo_assets.vector.model import Layer, SkippedLayer
from geo_assets.vector.shapefile import (
    DRIVER,
    SIDECARS,
    ShapeSet,
    describe_shapefile,
)
from geo_assets.vector.single import (
    describe_plain,
    describe_single,
    link_file,
    named,
)
from geo_assets.vector.sniff import HEAD_BYTES, lone, sniff_head, unsupported

_TAB, _MIF = (".tab", ".dat", ".map", ".id", ".ind"), (".mif", ".mid")
_BESIDE = (*SIDECARS, ".sbn", ".sbx", ".qix", ".qpj", ".qmd", ".xml", ".fix", ".atx")
_GDB_FILE = re.compile(r"(a[0-9a-f]{8}\.[a-z]+|gdb|timestamps)", re.IGNORECASE)
_TEXT_TABLES = (".csv", ".tsv", ".txt")
_NEVER_READ = (".md", ".txt", ".pdf", ".html", ".htm", ".qml", ".sld", ".lyr", ".doc")


def describe_zip(path: Path, blob: str, contract: VectorContract, work: Path) -> Found:
    """The layers of all sources in a zip: shapefiles, and what else is taken.

    What cannot be a source (metadata, legends) is skipped and said.

    Raises:
        UnsafeArchiveError: what the archive does no honest archive does.
        TooLargeError: it unpacks to more than the dataset allows.
        NoFeaturesError: it is empty.
        SourceError: of the kind that says why what is in it cannot be used.
    """
    name = PurePosixPath(blob).name
    with open_archive(path, contract.limits.max_unpacked_gigabytes) as archive:
        if not archive.members:
            raise NoFeaturesError(
                f"{name} is an empty archive.", found="no files", expected="a source"
            )
        found = _Bundle(archive, contract, work).describe()
    if not found.layers and not found.skipped:
        what = ", ".join(one.name for one in archive.members[:5])
        raise unsupported(name, f"zip archive of {what}")
    if not found.layers and found.format == "zip":
        raise _why_nothing(found, name)
    found.layers = _distinct(found.layers)
    return found


def _why_nothing(found: Found, name: str) -> SourceError:
    reasons = {one.name: one.reason for one in found.skipped[:20]}
    if "no geometry" in reasons.values():
        return NoGeometryError(
            f"Nothing in {name} has a geometry.",
            found=reasons,
            expected="a source with geometry",
        )
    return UnsupportedFormatError(
        f"{name} holds nothing that is taken.",
        found=reasons,
        expected="a shapefile, GeoPackage, GeoJSON, CSV, KML or the like",
    )


class _Bundle:
    """The sources in an archive; every member belongs to one or is skipped.

    Args:
        archive: its members checked.
        contract: of the dataset.
        work: scratch folder.
    """

    def __init__(self, archive: Archive, contract: VectorContract, work: Path) -> None:
        self._archive, self._contract, self._work = archive, contract, work
        self._left = list(archive.members)
        self._found = Found("zip")
        self._formats: list[str] = []
        self._number = 0

    def describe(self) -> Found:
        """Geodatabases, shapefiles, MapInfo tables, then single files."""
        self._geodatabases()
        self._shapefiles()
        self._mapinfo(_TAB)
        self._mapinfo(_MIF)
        self._singles()
        formats = list(dict.fromkeys(self._formats))
        self._found.format = " + ".join(formats) + " (zip)" if formats else "zip"
        if formats == ["KML"]:
            self._found.format = "KMZ"
        return self._found

    def _next(self) -> Path:
        self._number += 1
        return self._work / f"member{self._number}"

    def _take(self, member: Member, target: Path) -> Path:
        self._left.remove(member)
        return self._archive.extract(member, target)

    def _add(self, found: Found) -> None:
        self._formats.append(found.format)
        self._found.layers.extend(found.layers)
        self._found.skipped.extend(found.skipped)
        self._found.notes.extend(found.notes)

    def _geodatabases(self) -> None:
        folders: dict[str, list[Member]] = {}
        for member in self._left:
            parents = [p for p in member.path.parents if p.suffix.lower() == ".gdb"]
            if parents and _GDB_FILE.fullmatch(member.path.name):
                folders.setdefault(str(parents[0]), []).append(member)
        for folder, members in folders.items():
            target = self._next().with_suffix(".gdb")
            target.mkdir()
            for member in members:
                self._take(member, target / member.path.name.lower())
            stem = PurePosixPath(folder).stem
            found = describe_plain(target, "OpenFileGDB", self._contract)
            self._add(named(found, target.stem, stem))

    def _shapefiles(self) -> None:
        for shp in [one for one in self._left if one.suffix == ".shp"]:
            target = self._next().with_suffix(".shp")
            self._left.remove(shp)
            beside = self._sidecars(shp, _BESIDE)
            if not wanted(shp.path.stem, self._contract):
                self._skip(shp.path.stem, NOT_NAMED)
                continue
            parts = {".shp": shp} | {s: m for s, m in beside.items() if s in SIDECARS}
            targets = [target.with_suffix(suffix) for suffix in parts]
            with ThreadPoolExecutor(2, "unpack") as pool:
                list(pool.map(self._archive.extract, parts.values(), targets))
            layer = describe_shapefile(ShapeSet(shp.path.stem, target), self._contract)
            self._add(Found(DRIVER, [layer]))

    def _sidecars(self, main: Member, suffixes: Iterable[str]) -> dict[str, Member]:
        """Members that share the stem of `main`, case ignored; taken off the list."""
        beside: dict[str, Member] = {}
        for member in list(self._left):
            doubled = member.name.lower() == f"{main.name.lower()}.xml"
            if doubled or (member.stem == main.stem and member.suffix in suffixes):
                beside.setdefault(member.suffix, member)
                self._left.remove(member)
        return beside

    def _mapinfo(self, suffixes: tuple[str, ...]) -> None:
        for main in [one for one in self._left if one.suffix == suffixes[0]]:
            target = self._next()
            self._left.remove(main)
            beside = self._sidecars(main, suffixes[1:])
            _check_mapinfo(self._archive, main, beside)
            for suffix, member in {suffixes[0]: main, **beside}.items():
                self._archive.extract(member, target.with_suffix(suffix))
            opened = target.with_suffix(suffixes[0])
            found = describe_plain(opened, "MapInfo File", self._contract)
            self._add(named(found, target.name, main.path.stem))

    def _singles(self) -> None:
        for member in list(self._left):
            if member.suffix in _NEVER_READ and member.suffix not in _TEXT_TABLES:
                self._found.notes.append(f"{member.name} is not read")
                continue
            try:
                self._single(member)
            except (UnsupportedFormatError, MissingSidecarError) as error:
                self._skip(member.name, str(error.evidence["found"]))
            except NoGeometryError:
                self._skip(member.name, "no geometry")

    def _single(self, member: Member) -> None:
        kind = sniff_head(self._archive.head(member, HEAD_BYTES), member.name)
        if kind == "text" and member.suffix not in _TEXT_TABLES:
            raise unsupported(member.name, "plain text")
        if kind == "zip":
            raise lone(member.name, "an archive in the archive")
        target = self._next()
        raw = self._take(member, target.with_suffix(".raw"))
        self._add(describe_single(raw, kind, member.name, self._contract, target))

    def _skip(self, name: str, reason: str) -> None:
        self._found.skipped.append(SkippedLayer(name=name, reason=reason))


def _check_mapinfo(archive: Archive, main: Member, beside: dict[str, Member]) -> None:
    """A table needs its sidecars, and must not be a view of other tables."""
    needed = {".tab": (".dat", ".map", ".id"), ".mif": ()}[main.suffix]
    text = archive.head(main, HEAD_BYTES).decode("latin-1").lower()
    seamless = re.search(r'"\\+isseamless"\s*=\s*"true"', text)
    views = r"open\s+table|type\s+linked|^\s*file\s+\""
    outside = re.search(views, text, re.MULTILINE)
    if main.suffix == ".tab" and (seamless or outside):
        raise ExternalReferenceError(
            f"{main.name} is a view of other tables.",
            found="a MapInfo view, linked or seamless table",
            expected="a native MapInfo table",
        )
    if missing := [one for one in needed if one not in beside]:
        raise MissingSidecarError(
            f"{main.name} came without {', '.join(missing)}.",
            found=sorted(beside),
            expected=list(needed),
        )


def _distinct(layers: list[Layer]) -> list[Layer]:
    """The layers, later ones of the same name numbered: `lots`, `lots (2)`."""
    seen: dict[str, int] = {}
    distinct = []
    for layer in layers:
        count = seen[layer.name] = seen.get(layer.name, 0) + 1
        name = layer.name if count == 1 else f"{layer.name} ({count})"
        distinct.append(layer.model_copy(update={"name": name}))
    return distinct


def loose_shapefile(path: Path, blob: str, work: Path) -> ShapeSet | None:
    """The shapefile whose .shp is `path` and whose sidecars lie beside it, if so.

    Its files are linked into `work`, so that an index can be rebuilt there.
    """
    if path.suffix.lower() != ".shp":
        return None
    target = work / "source.shp"
    link_file(path, target)
    for other in path.parent.iterdir():
        suffix = other.suffix.lower()
        if other.stem.lower() == path.stem.lower() and suffix in SIDECARS:
            link_file(other, target.with_suffix(suffix))
    return ShapeSet(PurePosixPath(blob).stem, target)
