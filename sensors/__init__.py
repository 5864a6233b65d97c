"""Watchers that turn what happens outside Dagster into run requests."""
