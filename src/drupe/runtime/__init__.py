"""``drupe-runtime``: the OCI runtime's command line, for container engines."""
