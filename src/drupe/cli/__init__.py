"""The command line: one file per verb. Only here, and in ``runtime``, is anything printed."""
