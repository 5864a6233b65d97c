"""What sensors say of the pictures they take: tags, names and sidecars of rasters."""
