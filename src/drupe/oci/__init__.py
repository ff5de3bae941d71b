"""Images as data: references, descriptors, manifests, configurations. No I/O.

Source: OCI image specification 1.1, OCI distribution specification 1.1, Docker's image manifest
version 2, schema 2.
"""
