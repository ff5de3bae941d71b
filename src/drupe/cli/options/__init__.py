"""Options that describe a new container: what ``run`` and ``create`` share, one file per concern.

Each module declares its options in a group of the help, and applies them to a request.
"""
