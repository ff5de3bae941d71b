"""Platforms: what runs a container kernel. ``um-strict`` is user mode under ptrace."""
