"""The bands that all items of a collection share: what a picture can be made of."""

from typing import TYPE_CHECKING

from geo_resources.pgstac import Json, in_pgstac

if TYPE_CHECKING:
    from psycopg import Connection


def band_layout(connection: "Connection", collection_id: str) -> list[Json]:
    """The bands of each lossless asset, by their number, from all items; all is read.

    Returns:
        Per asset and number: `asset`, `number`, `items` (that have the asset), `bands`
        (items whose asset has such a band), and of what is the same in all of them
        `name`, `common_name`, `data_type`, `scale`, `offset` (null if it differs, or
        none says it); `minimum`, `maximum`, `mean`, `stddev` over all pixels.
    """
    with in_pgstac(connection):
        rows = connection.execute(_LAYOUT, [collection_id]).fetchall()
    return [row for (row,) in rows]


_LAYOUT = """
WITH assets AS (
    SELECT name AS asset, content #> ARRAY['assets', name, 'bands'] AS bands
    FROM items, unnest(ARRAY['analysis', 'archive']) AS name
    WHERE collection = %s AND content -> 'assets' ? name
), totals AS (
    SELECT asset, count(*) AS items FROM assets GROUP BY asset
), each AS (
    SELECT asset, number, band,
        (band #>> '{statistics,mean}')::float8 AS mean,
        (band #>> '{statistics,stddev}')::float8 AS stddev,
        (band #>> '{statistics,count}')::float8 AS count
    FROM assets, jsonb_array_elements(bands) WITH ORDINALITY AS one (band, number)
    WHERE jsonb_typeof(bands) = 'array'
), pooled AS (
    SELECT asset, number, count(*) AS bands,
        count(DISTINCT coalesce(band ->> 'name', '')) AS names,
        min(band ->> 'name') AS name,
        count(DISTINCT coalesce(band ->> 'eo:common_name', '')) AS common_names,
        min(band ->> 'eo:common_name') AS common_name,
        count(DISTINCT coalesce(band ->> 'data_type', '')) AS data_types,
        min(band ->> 'data_type') AS data_type,
        count(DISTINCT (coalesce(band -> 'raster:scale', '1'),
            coalesce(band -> 'raster:offset', '0'))) AS scales,
        min((band ->> 'raster:scale')::float8) AS scale,
        min((band ->> 'raster:offset')::float8) AS "offset",
        min((band #>> '{statistics,minimum}')::float8) AS minimum,
        max((band #>> '{statistics,maximum}')::float8) AS maximum,
        sum(mean * count) / nullif(sum(count) FILTER (WHERE mean IS NOT NULL), 0)
            AS mean,
        sum((stddev ^ 2 + mean ^ 2) * count)
            / nullif(sum(count) FILTER (WHERE mean IS NOT NULL), 0) AS square
    FROM each GROUP BY asset, number
)
SELECT jsonb_build_object(
    'asset', asset, 'number', number, 'items', items, 'bands', bands,
    'name', CASE WHEN names = 1 THEN name END,
    'common_name', CASE WHEN common_names = 1 THEN common_name END,
    'data_type', CASE WHEN data_types = 1 THEN data_type END,
    'scale', CASE WHEN scales = 1 THEN coalesce(scale, 1) END,
    'offset', CASE WHEN scales = 1 THEN coalesce("offset", 0) END,
    'minimum', minimum, 'maximum', maximum, 'mean', mean,
    'stddev', sqrt(greatest(square - mean ^ 2, 0))
) FROM pooled JOIN totals USING (asset) ORDER BY asset, number
"""
