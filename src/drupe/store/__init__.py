"""What drupe keeps on disk: where, and how it stays whole."""
