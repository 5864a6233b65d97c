"""Vectors: what a file holds, cleaned, as rows of PostGIS tables."""
