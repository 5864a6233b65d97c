"""Promotion of datasets into the database that serves."""
