"""Which blobs may tell of a raster: names beside it, as the operators deliver them.

A raster wants stems: names of blobs without their suffix, in ASCII lower case. The
ledger finds a stem in either direction, whatever arrives first (ADR 0017).
"""

import re
from pathlib import PurePosixPath

SUFFIXES = (".imd", ".xml", ".dim", ".txt", ".json")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ROW_AND_COLUMN = re.compile(r"_r\d+c\d+(?=[_.-]|$)")
_LANDSAT = re.compile(
    r"l[cotem]0\d_l[12][a-z]{2}_\d{6}_\d{8}_\d{8}_\d{2}_(?:t1|t2|rt|a1|a2)"
)
_PLANET = re.compile(r"\d{8}_\d{6}_[0-9a-z_-]+")
_SAFE = re.compile(r"(?P<product>(?:.*/)?s2[a-d]_msi(?P<level>l1c|l2a)_[^/]*\.safe)/")
_GRANULE = re.compile(r"(?P<granule>.*/granule/[^/]+)/img_data/")
_SENSOR_NAMES = re.compile(
    rf"(?:{_LANDSAT.pattern}_mtl\.(?:txt|json|xml)|{_PLANET.pattern}_metadata\.json"
    r"|mtd_(?:msil1c|msil2a|tl)\.xml|dim_.*\.xml|metadata\.dim|.*\.imd)"
)


def stem_of(blob: str) -> str:
    """Name of a blob without its suffix, ASCII lower case; SQL does the same.

    >>> stem_of("Scenes/LC08_MTL.txt"), stem_of("a.b/C"), stem_of("x.tar.GZ")
    ('scenes/lc08_mtl', 'a.b/c', 'x.tar')
    """
    return re.sub(r"\.[^./]*$", "", blob).translate(_LOWER)


def wanted_stems(blob: str) -> list[str]:
    """Stems of blobs that may tell of a raster, the nearest first.

    >>> wanted_stems("in/IMG_PHR1A_MS_001_R1C2.TIF")[1:]
    ['in/img_phr1a_ms_001', 'in/dim_phr1a_ms_001']
    >>> wanted_stems("in/LC08_L2SP_195026_20240617_20240630_02_T1_SR_B4.TIF")[1:]
    ['in/lc08_l2sp_195026_20240617_20240630_02_t1_mtl']
    >>> wanted_stems("dem.tif")
    ['dem']
    """
    stem = stem_of(blob)
    folder, slash, name = stem.rpartition("/")
    whole = _ROW_AND_COLUMN.sub("", name)
    beside = [name, whole, *_by_convention(name, whole)]
    found = [f"{folder}{slash}{one}" for one in beside]
    return [*dict.fromkeys([*found, *_of_sentinel(stem)])]


def _by_convention(name: str, whole: str) -> list[str]:
    """Names that operators derive from that of the image."""
    found = ["metadata"] if name == "imagery" else []  # DIMAP 1
    if match := _LANDSAT.match(name):
        found.append(f"{match[0]}_mtl")
    if _PLANET.match(name):
        parts = name.split("_")
        ends = range(3, len(parts) + 1)
        found += [f"{'_'.join(parts[:end])}_metadata" for end in ends]
    if whole.startswith("img_"):
        found.append(f"dim_{whole.removeprefix('img_')}")
    return found


def _of_sentinel(stem: str) -> list[str]:
    """Metadata of the product and the tile that an image lies in."""
    product, granule = _SAFE.match(stem), _GRANULE.match(stem)
    found = [f"{product['product']}/mtd_msi{product['level']}"] if product else []
    return [*found, *([f"{granule['granule']}/mtd_tl"] if granule else [])]


def is_sensor_metadata(blob: str) -> bool:
    """Whether a blob bears the name of a sensor's metadata.

    >>> is_sensor_metadata("a/20240617_101010_12_2345_metadata.json")
    True
    >>> is_sensor_metadata("a/city_metadata.json"), is_sensor_metadata("a/b.IMD")
    (False, True)
    """
    name = PurePosixPath(blob).name.translate(_LOWER)
    return bool(_SENSOR_NAMES.fullmatch(name))


def may_tell(blob: str) -> bool:
    """Whether a blob has the suffix of metadata."""
    return PurePosixPath(blob).suffix.translate(_LOWER) in SUFFIXES
