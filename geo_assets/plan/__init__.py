"""What would be made of files, before it is."""
