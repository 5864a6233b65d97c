"""Joins: what rasters and features say of each H3 cell."""
