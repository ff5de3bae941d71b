"""What docker and podman have and drupe has not: each with the reason or the way there.

Read only when somebody asks for it: an error that says why is better than "no such option".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_OWN_KERNEL = "a container has a kernel of its own, which has none of the host's"
_ATTACH = "'run' passes output on, and input with -i; redirect what is not wanted"
_NO_SWAP = "there is no swap: -m is all the memory that a container has"

_VERBS = {
    "attach": "'drupe reattach' does what docker's attach does",
    "compose": "start the containers one by one, on a network of theirs: 'drupe network --help'",
    "buildx": "'drupe build' hands over to buildah or podman",
    "ls": "'drupe ps' lists containers, 'drupe images' images",
    "list": "'drupe ps' lists containers, 'drupe images' images",
    "search": "look at the registry's own page; 'drupe pull' takes names as docker does",
    "pod": "containers on one network find each other by name: 'drupe network --help'",
    "swarm": "drupe looks after the containers of one host and one user",
    "secret": "give a container a file with -v FILE:/run/secrets/NAME:ro",
    "builder": "what 'drupe build' left lies in the store of its builder: 'podman system prune'",
    "machine": "drupe runs on this host: 'drupe system check' looks at it",
    "context": "there is no daemon: drupe runs on this host, 'ssh HOST drupe ...' on another",
}
_OPTIONS = {
    "--gpus": f"{_OWN_KERNEL} drivers: graphics processors cannot be used",
    "--pid": f"{_OWN_KERNEL} processes",
    "--ipc": f"{_OWN_KERNEL} shared memory; share a directory with -v",
    "--uts": f"{_OWN_KERNEL} names; --hostname names it",
    "--userns": "each container has user ids of its own, in its own kernel",
    "--cgroupns": "each container has control groups of its own, in its own kernel",
    "--device-cgroup-rule": f"{_OWN_KERNEL} devices",
    "--runtime": "--platform chooses what runs a container's kernel",
    "--link": "put both on a network of theirs: 'drupe network create', run --network",
    "--log-opt": "logs are files below the container's directory, one driver, no rotation",
    "--memory-swappiness": _NO_SWAP,
    "--annotation": "--label notes what you like",
    "--oom-kill-disable": "a container that is out of memory ends a process of its own",
    "--blkio-weight": "drupe sets no limits to disks; --storage-opt size= bounds what is written",
    "--device-read-bps": "drupe sets no limits to disks",
    "--device-write-bps": "drupe sets no limits to disks",
    "--domainname": "give the whole name to --hostname, the domain to --dns-search",
    "--volume-driver": "volumes are directories of this host; share others with -v DIR:PATH",
    "--pod": "containers on one network find each other by name: 'drupe network --help'",
    "-a": _ATTACH,
    "--attach": _ATTACH,
    "--secret": "give it a file: -v FILE:/run/secrets/NAME:ro",
    "--sig-proxy": "signals reach the main process unless run in a terminal",
}


def verb_hint(verb: str, known: Iterable[str]) -> str:
    """The way out for somebody who asked for a verb that is not there."""
    if verb in _VERBS:
        return _VERBS[verb]
    from difflib import get_close_matches

    meant = get_close_matches(verb, list(known), 1)
    return (
        f"is '{meant[0]}' meant? 'drupe --help' lists all" if meant else "'drupe --help' lists them"
    )


def option_hint(message: str) -> str | None:
    """The reason why there is no such option, from argparse's words about it; None: unknown."""
    found = re.match(r"unrecognized arguments: (--?[a-z-]+)", message)
    return None if found is None else _OPTIONS.get(found[1])
