"""The Python API behind ``import drupe``; ``drupe`` itself only re-exports it."""
