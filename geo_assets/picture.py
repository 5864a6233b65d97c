"""Small pictures of anything: a thumbnail file, and one for Dagster's UI."""

import base64
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Rgba = NDArray[np.uint8]  # (rows, cols, 4)

QUALITY = 80  # of the thumbnail
MEDIA_TYPES = {".webp": "image/webp", ".png": "image/png"}
INLINE_LIMIT = 1000  # characters: Dagster hides longer Markdown behind a click
INLINE_SIDES = (96, 80, 64, 48, 40, 32, 24, 16)
INLINE_QUALITIES = (50, 30, 10)
SAFE_IN_MARKDOWN = "=:/;,+'"  # spaces, <, > and brackets would end the address
LEGIBLE_SIDE = 64  # pixels; smaller ones are blurred where they are shown
PAPER = 238  # light grey behind missing pixels
INLINE_SHOWN = 224  # pixels of the longer side on the page


class Thumbnail(BaseModel, frozen=True):
    """A picture file that was written."""

    width: int
    height: int
    media_type: str
    size_bytes: int
    sha256: str


def save_picture(picture: Rgba, target: Path) -> Thumbnail:
    """Write a picture as `.webp` or `.png`."""
    if target.suffix == ".png":
        content = bytes(imagecodecs.png_encode(_plain(picture)))
    else:
        content = _webp(picture, QUALITY)
    target.write_bytes(content)
    return Thumbnail(
        width=picture.shape[1],
        height=picture.shape[0],
        media_type=MEDIA_TYPES[target.suffix],
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def load_picture(path: Path) -> Rgba:
    """The picture of a `.webp` or `.png` file."""
    content = path.read_bytes()
    decode = imagecodecs.png_decode
    if path.suffix == ".webp":
        decode = imagecodecs.webp_decode
    picture = np.asarray(decode(content))
    opaque = np.full((*picture.shape[:2], 1), 255, "uint8")
    return picture if picture.shape[-1] > 3 else np.dstack([picture, opaque])  # noqa: PLR2004


def inline_markdown(picture: Rgba) -> str | None:
    """Markdown image with the picture in it, below 1000 characters; None if not so.

    Source:
        Dagster 1.13 shows Markdown metadata at once only if it is shorter.
    """
    for small in _small_pictures(picture):
        for quality in INLINE_QUALITIES:
            markdown = _markdown(_webp(small, quality), picture)
            if len(markdown) < INLINE_LIMIT:
                return markdown
    return None


def _shrink(picture: Rgba, side: int) -> Rgba:
    """Picture of at most `side` pixels: means of square blocks, weighted by alpha."""
    step = math.ceil(max(picture.shape[:2]) / side)
    padding = [(0, -length % step) for length in picture.shape[:2]]
    padded = np.pad(picture, [*padding, (0, 0)], mode="edge").astype("float64")
    weight = padded[..., 3:] / 255
    rows, cols = padded.shape[0] // step, padded.shape[1] // step
    blocks = np.dstack([padded[..., :3] * weight, weight])
    sums = blocks.reshape(rows, step, cols, step, 4).sum(axis=(1, 3))
    colors = sums[..., :3] / np.maximum(sums[..., 3:], 1e-9)
    alpha = sums[..., 3:] * 255 / step**2
    return np.dstack([colors, alpha]).round().astype("uint8")


def _small_pictures(picture: Rgba) -> Iterator[Rgba]:
    """Ever smaller ones; transparent as long as the picture can be made out."""
    yield from (_shrink(picture, side) for side in INLINE_SIDES if side >= LEGIBLE_SIDE)
    yield from (_on_paper(_shrink(picture, side)) for side in INLINE_SIDES)


def _on_paper(picture: Rgba) -> Rgba:
    """Picture without transparency, whose plane alone would not fit."""
    alpha = picture[..., 3:] / 255
    colors = picture[..., :3] * alpha + PAPER * (1 - alpha)
    opaque = np.full_like(picture[..., 3:], 255)
    return np.dstack([colors.round().astype("uint8"), opaque])


def _webp(picture: Rgba, quality: int) -> bytes:
    """WebP; libwebp itself leaves the alpha channel out if all is opaque.

    imagecodecs encodes without loss, whatever the level, unless it is told not to.
    """
    return bytes(
        imagecodecs.webp_encode(
            _plain(picture), level=quality, lossless=False, method=6
        )
    )


def _plain(picture: Rgba) -> Rgba:
    """Copy with the strides that the encoders ask for, even of a single row."""
    return picture.copy(order="C")


def _markdown(webp: bytes, picture: Rgba) -> str:
    """The picture in an SVG in a data URI: Dagster strips HTML but shows images."""
    rows, cols = picture.shape[:2]
    scale = INLINE_SHOWN / max(rows, cols)
    width, height = max(1, round(cols * scale)), max(1, round(rows * scale))
    size = f"width='{width}' height='{height}'"
    data = base64.b64encode(webp).decode()
    image = f"<image {size} href='data:image/webp;base64,{data}'/>"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{image}</svg>"
    return f"![preview](data:image/svg+xml,{quote(svg, safe=SAFE_IN_MARKDOWN)})"
