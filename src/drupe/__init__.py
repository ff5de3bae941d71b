"""drupe: containers that each run on a Linux kernel of their own, in user space."""

__version__ = "0.1.0"
