"""The jail: what a container kernel and its guest can do to the host, and nothing else.

The guest is not held by its own kernel here but by this: namespaces, dropped privileges, limits
and a filter of host system calls. The filter's list (``drupe.jail.policy``) is the boundary.
"""
