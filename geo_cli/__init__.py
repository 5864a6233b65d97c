"""The strata command and the local services behind it."""
