"""Platforms: what runs a container kernel. ``um`` is user mode in-process, ``um-strict`` traced."""
