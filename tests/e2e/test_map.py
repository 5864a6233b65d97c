"""Vector tiles open in MapLibre, in a real browser, and lie where they belong."""

import json
import mimetypes
import re

import pytest
from playwright.sync_api import sync_playwright

from geo_assets.contract import TileRules
from geo_assets.gold.vector_tiles import command, write_tiles
from tests.conftest import ROOT
from tests.e2e.conftest import CHROMIUM, FLAGS, PATIENCE_SECONDS

pytestmark = pytest.mark.e2e

SITE = "http://strata.test/"
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
GREEN = [0, 255, 0, 255]
PAGE = """
<!doctype html><html><body style="margin:0">
<div id="map" style="width:400px;height:400px"></div>
<script src="/node_modules/pmtiles/dist/pmtiles.js"></script>
<script type="module">
import * as maplibregl from "/node_modules/maplibre-gl/dist/maplibre-gl.mjs";
maplibregl.addProtocol("pmtiles", new pmtiles.Protocol().tile);
const map = window.map = new maplibregl.Map({
  container: "map", center: [10.5, 50.5], zoom: 6, fadeDuration: 0,
  canvasContextAttributes: {preserveDrawingBuffer: true},
  style: {version: 8, sources: {
    lots: {type: "vector", url: "pmtiles://http://strata.test/lots.pmtiles"}},
    layers: [{id: "lots", type: "fill", source: "lots", "source-layer": "lots",
      paint: {"fill-color": "#00ff00", "fill-antialias": false}}]},
});
map.once("idle", () => { window.ready = true; });
map.on("error", (event) => { window.failed = String(event.error); });
</script></body></html>
"""


@pytest.fixture
def archive(tmp_path):
    """Tiles of two squares, with a gap of a degree between them."""
    lines = [
        json.dumps(
            {
                "type": "Feature",
                "id": lot,
                "properties": {"lot": lot, "owner": f"Öwner {lot}"},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [
                        [[w, 50], [w + 1, 50], [w + 1, 51], [w, 51], [w, 50]]
                    ],
                },
            }
        ).encode()
        + b"\n"
        for lot, w in enumerate((10, 12))
    ]
    target, rules = tmp_path / "lots.pmtiles", TileRules(max_zoom=8)
    write_tiles(command(rules, "lots", "Lots", target, tmp_path), lines, target)
    return target


def serve(route, archive):
    """Answer a request of the page from disk; of the archive, the range asked for."""
    path = route.request.url.removeprefix(SITE).partition("?")[0]
    if not path:
        route.fulfill(body=PAGE, content_type="text/html")
        return
    file = archive if path == archive.name else ROOT / path
    data = file.read_bytes()
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", route.request.headers.get("range", ""))
    if not asked:
        kind = mimetypes.guess_type(path)[0] or "text/javascript"
        kind = "text/javascript" if path.endswith("js") else kind
        route.fulfill(body=data, content_type=kind)
        return
    first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
    headers = {"content-range": f"bytes {first}-{last}/{len(data)}"}
    route.fulfill(status=206, body=data[first : last + 1], headers=headers)


def test_vector_tiles_open_in_maplibre(archive):
    with sync_playwright() as playwright:
        flags = [one for one in FLAGS if one != "--disable-gpu"]
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*flags, *SOFTWARE_GL],
            timeout=PATIENCE_SECONDS * 1000,
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.route(f"{SITE}**", lambda route: serve(route, archive))
        page.goto(SITE)
        page.wait_for_function("window.ready || window.failed")
        assert page.evaluate("window.failed") is None
        found = page.evaluate(
            "map.queryRenderedFeatures().map(f => [f.id, f.properties.owner])"
        )
        assert sorted({(number, owner) for number, owner in found}) == [
            (0, "Öwner 0"),
            (1, "Öwner 1"),
        ]
        assert colour_at(page, 10.5, 50.5) == GREEN
        assert colour_at(page, 11.5, 50.5) != GREEN
        assert colour_at(page, 12.5, 50.5) == GREEN
        browser.close()


def colour_at(page, longitude, latitude):
    """What the map shows at a place."""
    return page.evaluate(
        """([x, y]) => {
            const at = map.project([x, y]), canvas = map.getCanvas();
            const gl = canvas.getContext("webgl2"), pixel = new Uint8Array(4);
            const scale = canvas.width / canvas.clientWidth;
            gl.readPixels(at.x * scale, canvas.height - at.y * scale, 1, 1,
                gl.RGBA, gl.UNSIGNED_BYTE, pixel);
            return [...pixel];
        }""",
        [longitude, latitude],
    )
