"""geo_assets.vector.read: formats that GDAL reads, layers, filters, columns"""

import sqlite3
import warnings
from contextlib import closing

import pyarrow as pa
import pyogrio
import pytest

from geo_assets.errors import (
    BadWhereError,
    CorruptError,
    ExternalReferenceError,
    NoFeaturesError,
    NoGeometryError,
    SchemaMismatchError,
    SourceError,
    TooLargeError,
    UnsupportedFormatError,
    WrongLayerError,
)
from geo_assets.vector.model import TIME_TEXT
from geo_assets.vector.read import read_layer
from tests.unit.vector.layers import wkb
from tests.unit.vector.reading import (
    contract,
    open_file,
    read_all,
    read_file,
    write,
)

FULL = ("POINT (1 2)", "POINT (3 4)")
WHERE = {
    "GPKG": "a.gpkg",
    "FlatGeobuf": "a.fgb",
    "GeoJSON": "a.geojson",
}


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("GPKG", "a.gpkg"),
        ("FlatGeobuf", "a.fgb"),
        ("GeoJSON", "a.geojson"),
        ("GeoJSONSeq", "a.geojsonl"),
        ("GML", "a.gml"),
    ],
)
def test_rows_come_as_gdal_reads_them(tmp_path, driver, name):
    path = write(tmp_path / name, driver, texts=FULL, crs="EPSG:4326")
    columns = read_file(path)
    _, table = pyogrio.read_arrow(path)
    for field in ("id", "name", "ratio"):
        assert columns[field] == table[field].to_pylist()
    assert columns["wkt"] == list(FULL) or columns["wkt"] == list(reversed(FULL))


@pytest.mark.parametrize("blob", ["x.csv", "no_extension", "x.tif"])
def test_the_name_of_the_blob_does_not_matter(tmp_path, blob):
    path = write(tmp_path / "a.gpkg", "GPKG")
    path = path.rename(tmp_path / blob)
    source = open_file(path, blob=f"folder/{blob}")
    assert source.format == "GPKG"
    assert len(read_all(source, source.layers[0])[0]["id"]) == 3


def test_all_layers_of_a_geopackage_and_its_tables_are_loaded(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG", layer="one")
    write(path, "GPKG", layer="two", append=True, crs="EPSG:4326")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = pa.table({"k": pa.array([1, 2])})
        pyogrio.write_arrow(plain, path, driver="GPKG", layer="codes", append=True)
    source = open_file(path)
    assert [layer.name for layer in source.layers] == ["one", "two", "codes"]
    assert source.layers[2].geometry_type is None
    assert read_all(source, source.layers[2])[0] == {"fid": [1, 2], "k": [1, 2]}
    assert "25832" in (source.layers[0].crs_wkt or "")
    assert "4326" in (source.layers[1].crs_wkt or "")


def test_feature_ids_of_a_geopackage_are_a_column_of_their_name(tmp_path):
    path = tmp_path / "parcels.gpkg"
    pyogrio.write_arrow(
        pa.table({"v": ["a", "b"], "g": wkb("POINT(1 2)", "POINT(3 4)")}),
        path,
        driver="GPKG",
        geometry_name="g",
        geometry_type="Point",
        crs="EPSG:4326",
        layer_options={"FID": "parcel", "SPATIAL_INDEX": "NO"},
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE parcels SET parcel = parcel + 700")
    assert read_file(path)["parcel"] == [701, 702]
    rules = contract(columns={"exclude": ["parcel"]})
    assert set(read_file(path, rules)) == {"v", "wkt"}


def test_a_wrong_layer_lists_the_choices(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG", layer="one")
    with pytest.raises(WrongLayerError) as caught:
        open_file(path, contract(layer="two"))
    assert caught.value.evidence["found"] == ["one"]


def test_empty_layers_are_skipped_and_alone_refused(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG", layer="empty", texts=())
    with pytest.raises(NoFeaturesError):
        open_file(path)
    write(path, "GPKG", layer="full", append=True)
    source = open_file(path)
    assert [one.name for one in source.skipped] == ["empty"]


def test_tables_alone_have_no_geometry(tmp_path):
    path = tmp_path / "a.gpkg"
    pyogrio.write_arrow(pa.table({"k": [1]}), path, driver="GPKG", layer="codes")
    with pytest.raises(NoGeometryError):
        open_file(path)


@pytest.mark.parametrize("srs_id", [0, -1])
def test_an_undefined_crs_of_a_geopackage_is_none(tmp_path, srs_id):
    path = write(tmp_path / "a.gpkg", "GPKG")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", [srs_id])
        database.execute("UPDATE gpkg_contents SET srs_id = ?", [srs_id])
    assert open_file(path).layers[0].crs_wkt is None


def test_a_geopackage_is_left_as_it_is(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    before, names = path.read_bytes(), sorted(p.name for p in tmp_path.iterdir())
    source = open_file(path)
    read_all(source, source.layers[0])
    after = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("work"))
    assert path.read_bytes() == before
    assert after == [n for n in names if not n.startswith("work")]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW v AS SELECT load_extension('/tmp/x.so') AS a FROM a",
        "CREATE VIEW v AS SELECT gdal_get_pixel_value('/etc/x', 1, 'georef', 1, 1) a",
        "CREATE VIEW v AS SELECT readfile('/etc/passwd') AS a",
    ],
)
def test_views_that_reach_outside_are_refused(tmp_path, statement):
    path = write(tmp_path / "a.gpkg", "GPKG")
    with sqlite3.connect(path) as database:
        database.execute(statement)
    with pytest.raises(ExternalReferenceError):
        open_file(path)


def test_virtual_tables_that_reach_outside_are_refused(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    sql = "CREATE VIRTUAL TABLE v USING VirtualOGR('/etc/passwd')"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) "
            "VALUES ('table', 'v', 'v', 0, ?)",
            [sql],
        )
    with pytest.raises(ExternalReferenceError):
        open_file(path)


def test_an_sqlite_file_that_is_no_geopackage_is_not_taken(tmp_path):
    path = tmp_path / "a.gpkg"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
    with pytest.raises(UnsupportedFormatError):
        open_file(path)


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.parquet", "a.geojson"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_refused(tmp_path, name, part):
    texts = [f"POINT ({i % 90} {i % 45})" for i in range(3000)]
    if name.endswith("parquet"):
        import geopandas
        import shapely

        made = geopandas.GeoDataFrame(
            {"id": range(3000)}, geometry=shapely.from_wkt(texts), crs=4326
        )
        made.to_parquet(tmp_path / name)
    else:
        driver = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "geojson": "GeoJSON"}
        rows = {"id": pa.array(range(3000))}
        write(
            tmp_path / name, driver[name[2:]], texts, attributes=rows, crs="EPSG:4326"
        )
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(CorruptError):
        read_file(path)


@pytest.mark.parametrize(("driver", "name"), WHERE.items())
def test_where_filters(tmp_path, driver, name):
    path = write(tmp_path / name, driver, texts=FULL, crs="EPSG:4326")
    assert read_file(path, contract(where="id > 5"))["id"] == [2**53 + 1]
    assert read_file(path, contract(where="\"name\" = 'Ä'"))["id"] == [1]


@pytest.mark.parametrize(("driver", "name"), WHERE.items())
@pytest.mark.parametrize("where", ["nothing > 1", "id >", "id = 1; DROP TABLE a"])
def test_a_wrong_where_is_refused(tmp_path, driver, name, where):
    path = write(tmp_path / name, driver, texts=FULL, crs="EPSG:4326")
    with pytest.raises(BadWhereError):
        open_file(path, contract(where=where))


@pytest.mark.parametrize(("driver", "name"), WHERE.items())
def test_columns_are_chosen(tmp_path, driver, name):
    path = write(tmp_path / name, driver, texts=FULL, crs="EPSG:4326")
    rules = contract(columns={"include": ["ratio", "id"]})
    assert set(read_file(path, rules)) == {"id", "ratio", "wkt"}
    rules = contract(columns={"exclude": ["ratio"]}, where="ratio > 1")
    source = open_file(path, rules)
    assert source.layers[0].fields_skipped == ("ratio",)
    columns = read_all(source, source.layers[0], rules)[0]
    ids = {"fid"} if driver == "GPKG" else set()
    assert set(columns) == {"id", "name", "wkt", *ids}
    assert columns["id"] == [1]
    with pytest.raises(SchemaMismatchError):
        open_file(path, contract(columns={"include": ["nope"]}))


def test_times_keep_their_offsets(tmp_path):
    times = pa.array(["2020-01-01T10:00:00+01:00", "2020-06-01T10:00:00Z", None])
    path = write(
        tmp_path / "a.geojson", "GeoJSON", attributes={"t": times}, crs="EPSG:4326"
    )
    source = open_file(path)
    with read_layer(source, source.layers[0], contract()) as batches:
        assert (batches.schema.field("t").metadata or {})[TIME_TEXT] == b"datetime"
    assert read_all(source, source.layers[0])[0]["t"] == times.to_pylist()


def test_folders_of_a_kml_are_layers_and_unused_fields_are_left_out(tmp_path):
    point = "<Point><coordinates>1,2</coordinates></Point>"
    place = f"<Placemark><name>n</name>{point}</Placemark>"
    link = (
        "<NetworkLink><Link><href>http://127.0.0.1:1/x.kml</href></Link></NetworkLink>"
    )
    box = "<north>1</north><south>0</south><east>1</east><west>0</west>"
    icon = "<Icon><href>x.png</href></Icon>"
    over = f"<GroundOverlay>{icon}<LatLonBox>{box}</LatLonBox></GroundOverlay>"
    folders = "".join(
        f"<Folder><name>{n}</name>{place}</Folder>" for n in ("A", "A", "B")
    )
    path = tmp_path / "a.kml"
    path.write_text(f"<kml><Document>{folders}{link}{over}</Document></kml>")
    source = open_file(path)
    assert [layer.name for layer in source.layers] == ["a", "A", "A (#2)", "B"]
    assert any(note.startswith("1 NetworkLink") for note in source.notes)
    assert any(note.startswith("1 GroundOverlay") for note in source.notes)
    names = [field.name for field in source.layers[1].fields]
    assert names == ["Name"]
    assert "visibility" in source.layers[1].fields_skipped


def test_a_gpx_gives_its_kinds_of_features_as_layers(tmp_path):
    path = tmp_path / "a.gpx"
    points = "<trkpt lat='1' lon='2'/><trkpt lat='2' lon='2'/>"
    track = f"<trk><name>t</name><trkseg>{points}</trkseg></trk>"
    path.write_text(
        "<gpx version='1.1' creator='x' xmlns='http://www.topografix.com/GPX/1/1'>"
        f"<wpt lat='1' lon='2'><name>w</name></wpt>{track}</gpx>"
    )
    source = open_file(path)
    names = [layer.name for layer in source.layers]
    assert names == ["waypoints", "tracks", "track_points"]
    assert {one.name for one in source.skipped} == {"routes", "route_points"}
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT (2 1)"]


def test_too_many_columns_and_rows_are_too_large(tmp_path):
    path = write(tmp_path / "a.gpkg", "GPKG")
    for limits in ({"max_columns": 2}, {"max_rows": 2}):
        with pytest.raises(TooLargeError):
            open_file(path, contract(limits=limits))


def test_batches_are_bounded(tmp_path):
    texts = [f"POINT ({i % 90} 1)" for i in range(5000)]
    rows = {"t": pa.array(["x" * 1000] * 5000)}
    path = write(tmp_path / "a.gpkg", "GPKG", texts, attributes=rows)
    source = open_file(path)
    with read_layer(source, source.layers[0], contract(), 1 << 20) as batches:
        sizes = [batch.nbytes for batch in batches]
    assert max(sizes) <= 1 << 20
    assert len(sizes) > 4


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.kml", "a.gml", "a.shp.zip"])
def test_a_damaged_file_is_refused_or_read_never_a_crash(tmp_path, name, seed):
    import random

    from tests.unit.vector.reading import pack, shapes

    chance = random.Random(seed)  # noqa: S311
    drivers = {
        "a.gpkg": "GPKG",
        "a.fgb": "FlatGeobuf",
        "a.kml": "LIBKML",
        "a.gml": "GML",
    }
    if name in drivers:
        path = write(tmp_path / name, drivers[name], FULL, crs="EPSG:4326")
        data = bytearray(path.read_bytes())
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
    else:
        files = shapes(tmp_path / "s")
        data = bytearray(files[".shp"].read_bytes())
        data[chance.randrange(len(data))] = chance.randrange(256)
        files[".shp"].write_bytes(data)
        path = pack(tmp_path / name, {f"a{s}": p for s, p in files.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = open_file(path)
            for layer in source.layers:
                with read_layer(source, layer, contract()) as batches:
                    list(batches)
        except SourceError as error:
            assert error.evidence  # noqa: PT017
