"""Kernel configuration as data: fragments, profiles, and the check that a kernel honours them.

Spawns nothing: ``drupe.kbuild`` runs kconfig and hands the result back to ``verify``.
"""

from drupe.kconfig.fragment import (
    Fragment,
    Option,
    allconfig,
    merge,
    parse_fragment,
    read_fragment,
)
from drupe.kconfig.profile import Profile, read_profiles
from drupe.kconfig.verify import parse_dotconfig, verify

__all__ = [
    "Fragment",
    "Option",
    "Profile",
    "allconfig",
    "merge",
    "parse_dotconfig",
    "parse_fragment",
    "read_fragment",
    "read_profiles",
    "verify",
]
