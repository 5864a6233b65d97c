"""What is made of what, as data versions: which assets a change leaves outdated.

The data version of a blob in bronze is its etag. That of anything made of it is a
digest of its own code version and of the data versions of its inputs, so that it is
known before it is made, and the same wherever it is computed. Dagster compares the code
version and the inputs' versions that an event carries with those of now (ADR 0017).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_VERSION_TAG = "dagster/input_data_version/"
INPUT_POINTER_TAG = "dagster/input_event_pointer/"
LATEST = "latest"  # event pointer that is filled in when the event is logged
DIGITS = 16
BRONZE = "bronze"
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


class Lineage:
    """The assets of a dataset's files, and what each is made of.

    Args:
        specs: of everything that is made of a file; bronze comes before them.
    """

    def __init__(self, specs: Iterable[dg.AssetSpec]) -> None:
        self._specs = {spec.key.path[-1]: spec for spec in specs}

    def version(self, thing: str, etag: str, more: Sequence[str] = ()) -> str:
        """Data version of a thing made of a blob version.

        Args:
            thing: last part of the asset key.
            etag: of the blob.
            more: whatever else this one thing is made of.
        """
        if thing == BRONZE:
            return etag
        spec = self._specs[thing]
        inputs = (self.version(one, etag) for one in self._inputs(thing))
        text = "\n".join([spec.code_version or "", *inputs, *more])
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]

    def tags(self, thing: str, etag: str, more: Sequence[str] = ()) -> dict[str, str]:
        """Tags of the event that says that a thing was made."""
        tags = {DATA_VERSION_TAG: self.version(thing, etag, more)}
        if thing == BRONZE:
            return tags
        tags[CODE_VERSION_TAG] = self._specs[thing].code_version or ""
        for dep in self._specs[thing].deps:
            key = dep.asset_key.to_user_string()
            made_of = self.version(dep.asset_key.path[-1], etag)
            tags[INPUT_VERSION_TAG + key] = made_of
            tags[INPUT_POINTER_TAG + key] = LATEST
        return tags

    def _inputs(self, thing: str) -> list[str]:
        return sorted(dep.asset_key.path[-1] for dep in self._specs[thing].deps)


def profile_version(code: str, profile: Mapping[str, object]) -> str:
    """Code version of what is made by some code with some parameters.

    >>> profile_version("2", {"codec": "lzw", "crs": None})
    '2 codec=lzw'
    >>> profile_version("2", {})
    '2'
    """
    given = {name: value for name, value in profile.items() if value is not None}
    words = [f"{name}={_short(value)}" for name, value in sorted(given.items())]
    return " ".join([code, *words])


def _short(value: object) -> str:
    """A value, or the digest of a long one: a CRS may be a page of WKT."""
    text = str(value)
    if len(text) <= 2 * DIGITS:
        return text.replace(" ", "_")
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def in_layers(events: Sequence[Event]) -> list[list[Event]]:
    """Events in an order in which every input is logged before what is made of it.

    A check comes with its asset, behind what was there of it.
    """
    depths: dict[dg.AssetKey, int] = {}
    for event in events:
        if isinstance(event, dg.AssetMaterialization):
            inputs = (_key(tag) for tag in event.tags or {} if _is_pointer(tag))
            below = [depths.get(key, 0) for key in inputs]
            depths[event.asset_key] = 1 + max(below) if below else 0
    layers: dict[int, list[Event]] = {}
    for event in events:
        layers.setdefault(depths.get(event.asset_key, 0), []).append(event)
    return [layers[depth] for depth in sorted(layers)]


def has_inputs(event: Event) -> bool:
    """Whether an event says of what something was made."""
    is_made = isinstance(event, dg.AssetMaterialization)
    return is_made and any(map(_is_pointer, event.tags or {}))


def pointed(event: Event, newest: int) -> Event:
    """The event with pointers to the newest event of each input.

    Any event behind the input's will do: Dagster looks for changes after it.
    """
    if not isinstance(event, dg.AssetMaterialization) or not has_inputs(event):
        return event
    tags = {**(event.tags or {})}
    tags |= {tag: str(newest) for tag in tags if _is_pointer(tag)}
    return dg.AssetMaterialization(
        event.asset_key,
        description=event.description,
        metadata=event.metadata,
        partition=event.partition,
        tags=tags,
    )


def _is_pointer(tag: str) -> bool:
    return tag.startswith(INPUT_POINTER_TAG)


def _key(tag: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(tag.removeprefix(INPUT_POINTER_TAG))
