"""Typed handles to the outside world: blob storage, PostgreSQL, pgSTAC."""
