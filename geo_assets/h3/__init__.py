"""H3 grids: cells, their boundaries and areas, in PostGIS and as GeoParquet."""
