"""What is known of how a picture was taken, and which source said it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

OrbitState = Literal["ascending", "descending"]


class Frozen(BaseModel):
    """Base of these facts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sensing(Frozen):
    """How a picture was taken; what nobody said is None.

    Attributes:
        acquired: the moment; or
        start, end: the range, if the picture is of several moments.
        gsd_m: nominal distance between samples on the ground.
        cloud_percent, snow_percent: share of the scene, 0..100.
        off_nadir: at the sensor, between straight down and the scene, degrees.
        incidence_angle: on the ground, between the vertical and the sensor, degrees.
        view_azimuth: of the sensor as seen from the scene, degrees from north (ADR
            0018).
        sun_azimuth, sun_elevation: of the sun as seen from the scene, degrees.
        said_by: name of each field that is set: the source that said it.
    """

    platform: str | None = None
    constellation: str | None = None
    instruments: tuple[str, ...] = ()
    acquired: AwareDatetime | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    gsd_m: float | None = Field(default=None, gt=0)
    cloud_percent: float | None = Field(default=None, ge=0, le=100)
    snow_percent: float | None = Field(default=None, ge=0, le=100)
    off_nadir: float | None = Field(default=None, ge=0, le=90)
    incidence_angle: float | None = Field(default=None, ge=0, le=90)
    view_azimuth: float | None = Field(default=None, ge=0, le=360)
    sun_azimuth: float | None = Field(default=None, ge=0, le=360)
    sun_elevation: float | None = Field(default=None, ge=-90, le=90)
    orbit_state: OrbitState | None = None
    relative_orbit: int | None = Field(default=None, ge=1)
    absolute_orbit: int | None = Field(default=None, ge=1)
    processing_level: str | None = None
    said_by: dict[str, str] = {}


class Reading(Frozen):
    """What one source said.

    Attributes:
        kind: of the source, for people: `Landsat MTL`.
        values: fields of `Sensing` with what it said.
        kept: everything in it, by its path, understood or not.
    """

    kind: str
    values: dict[str, Any] = {}
    kept: dict[str, str] = {}


class Sidecar(Frozen):
    """A blob beside a raster that may tell of it, with what it holds."""

    blob: str
    href: str
    etag: str
    sha256: str
    size_bytes: int
    last_modified: datetime
    content: bytes = Field(repr=False, exclude=True, default=b"")


class SidecarFacts(Frozen):
    """What became of a sidecar that was looked at.

    Attributes:
        kind: what it is; None if it is nothing that is known.
        complaint: why it could not be read.
        kept: everything in it, by its path.
    """

    blob: str
    href: str
    etag: str
    sha256: str
    size_bytes: int
    kind: str | None = None
    complaint: str | None = None
    kept: dict[str, str] = {}
