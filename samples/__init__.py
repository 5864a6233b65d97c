"""Files to try Strata with: real ones (SOURCES.md) and seeded synthetic ones."""
