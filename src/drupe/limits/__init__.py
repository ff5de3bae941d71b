"""What the host grants a machine: control groups where it lets us have them, processors."""
