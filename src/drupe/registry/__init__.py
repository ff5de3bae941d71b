"""Registries: the distribution API over HTTP, who we are there, and where that is written down.

Source: OCI distribution specification 1.1; the token specification of distribution.
"""
