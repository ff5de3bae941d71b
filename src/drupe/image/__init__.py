"""Images: read-only root file systems, each one EROFS file with its defaults beside it."""
