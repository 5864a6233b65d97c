"""The catalogue: one STAC collection per dataset."""
