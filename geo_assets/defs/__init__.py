"""One folder per dataset: a `defs.yaml` each."""
