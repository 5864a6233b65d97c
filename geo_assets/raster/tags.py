"""The words a raster carries: tags of every namespace, descriptions, units."""

from dataclasses import dataclass, field

from rasterio.io import DatasetReader

Tags = dict[str, dict[str, str]]
Texts = tuple[str | None, ...]

MAX_VALUE_CHARACTERS = 65536  # longer ones are thumbnails and logs
# GDAL's pointers into the file, and what it derives itself: nobody wrote these.
_NOT_TAGS = {"SUBDATASETS", "DERIVED_SUBDATASETS", "IMAGE_STRUCTURE"}
_UNLISTED = ("EXIF", "RPC", "xml:XMP", "IMAGERY")  # not always in the list of domains
_STRUCTURE = ("COMPRESSION", "INTERLEAVE", "MINISWHITE", "SOURCE_COLOR_SPACE")
_TIFF_TEXTS = (
    "TIFFTAG_DOCUMENTNAME",
    "TIFFTAG_IMAGEDESCRIPTION",
    "TIFFTAG_SOFTWARE",
    "TIFFTAG_DATETIME",
    "TIFFTAG_ARTIST",
    "TIFFTAG_HOSTCOMPUTER",
    "TIFFTAG_COPYRIGHT",
)


@dataclass
class Words:
    """What was read, and what could not be."""

    tags: Tags = field(default_factory=dict)
    descriptions: Texts = ()
    units: Texts = ()
    warnings: list[str] = field(default_factory=list)


def read_words(dataset: DatasetReader) -> Words:
    """Tags (namespace to tags, `""` the default one), descriptions and units."""
    words = Words()
    names = dict.fromkeys(["", *_namespaces(dataset, 0), *_UNLISTED])
    for name in [name for name in names if name not in _NOT_TAGS]:
        tags = _namespace_tags(dataset, name) if name else _default_tags(dataset)
        if kept := _without_giants(tags, words.warnings):
            words.tags[name] = kept
    found = {key: structure(dataset, key) for key in _STRUCTURE}
    words.tags["IMAGE_STRUCTURE"] = {key: text for key, text in found.items() if text}
    words.descriptions = _texts(dataset, "descriptions", words.warnings)
    words.units = _texts(dataset, "units", words.warnings)
    return words


def structure(dataset: DatasetReader, key: str, band: int = 0) -> str | None:
    """How pixels are stored: one item of GDAL's domain IMAGE_STRUCTURE.

    Never the whole domain: for JPEG 2000, GDAL 3.10 would walk through the code stream
    to fill it, on a damaged one for ever.
    """
    return dataset.get_tag_item(key, dm="IMAGE_STRUCTURE", bidx=band)


def read_band_tags(dataset: DatasetReader, band: int) -> dict[str, str]:
    """Tags of one band, of all its namespaces but GDAL's own."""
    spaces = [ns for ns in _namespaces(dataset, band) if ns != "IMAGE_STRUCTURE"]
    tags = dataset.tags(band)
    for space in spaces:
        tags |= {
            f"{space}:{key}": text for key, text in dataset.tags(band, ns=space).items()
        }
    return _without_giants(tags, [])


def _default_tags(dataset: DatasetReader) -> dict[str, str]:
    """Default namespace; rasterio leaves out in silence what is not UTF-8."""
    tags = dataset.tags()
    for name in [name for name in _TIFF_TEXTS if name not in tags]:
        if text := _latin_text(dataset, name):
            tags[name] = text
    return tags


def _namespaces(dataset: DatasetReader, band: int) -> list[str]:
    """Names of the namespaces; none, if one of them is no text."""
    try:
        return dataset.tag_namespaces(band)
    except UnicodeDecodeError:
        return []


def _namespace_tags(dataset: DatasetReader, name: str) -> dict[str, str]:
    """Tags of one namespace; one of XML holds a single text."""
    try:
        return dataset.tags(ns=name)
    except UnicodeDecodeError as error:
        return {name: error.object.decode("latin-1")}


def _latin_text(dataset: DatasetReader, name: str) -> str | None:
    try:
        return dataset.get_tag_item(name)
    except UnicodeDecodeError as error:
        return error.object.decode("latin-1")


def _texts(dataset: DatasetReader, what: str, warnings: list[str]) -> Texts:
    try:
        return tuple(text or None for text in getattr(dataset, what))
    except UnicodeDecodeError:
        warnings.append(f"The {what} of the bands are not UTF-8 and were left out.")
        return (None,) * dataset.count


def _without_giants(tags: dict[str, str], warnings: list[str]) -> dict[str, str]:
    giants = [key for key, text in tags.items() if len(text) > MAX_VALUE_CHARACTERS]
    warnings.extend(
        f"Tag {key} is longer than {MAX_VALUE_CHARACTERS} characters: left out."
        for key in giants
    )
    return {key: text for key, text in tags.items() if key not in giants}
