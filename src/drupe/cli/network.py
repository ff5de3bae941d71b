"""``drupe network``: makes, lists, shows and removes named networks; who is on them."""

from __future__ import annotations

import argparse
import time

from drupe.cli import listing
from drupe.cli.agreement import add_force, agreed
from drupe.cli.documents import add_format, show_documents
from drupe.cli.listing import Column, Listing
from drupe.cli.several import each
from drupe.errors import NotFoundError
from drupe.net.named import NamedNetwork, Networks
from drupe.store.schema import encode

EXAMPLES = (
    ("a network; 'drupe run --network fruit' puts containers on it", "drupe network create fruit"),
    ("who is on it", "drupe network inspect fruit"),
    ("a container that is there joins another one, too", "drupe network connect fruit web"),
    ("remove it", "drupe network rm fruit"),
)
SEE_ALSO = ("run", "port")

_LISTING = Listing[NamedNetwork](
    columns={
        "Name": Column("NAME", lambda network, _: network.name),
        "Subnet": Column("SUBNET", lambda network, _: network.subnet),
        "Subnet6": Column("IPV6 SUBNET", lambda network, _: network.subnet6),
        "CreatedAt": Column("CREATED AT", lambda network, _: _created(network)),
    },
    table=("Name", "Subnet", "Subnet6"),
    quiet="Name",
    document=encode,
    filters={"name": lambda network, value: value in network.name},
    labels=lambda network: network.labels,
)


def _created(network: NamedNetwork) -> str:
    moment = time.localtime(network.created_ns / 1e9)
    return time.strftime("%Y-%m-%d %H:%M:%S %z", moment)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="network_verb", required=True, metavar="VERB", help="what to do"
    )

    create = verbs.add_parser("create", help="make a network")
    create.add_argument("-d", "--driver", choices=("bridge",), help="there is only this one")
    create.add_argument("--subnet", metavar="ADDRESS/BITS", help="IPv4 (default: a free one)")
    create.add_argument("--subnet6", metavar="ADDRESS/BITS", help="IPv6 (default: a free one)")
    create.add_argument(
        "--label", "-l", action="append", default=[], metavar="NAME[=VALUE]", help="a note"
    )
    create.add_argument(
        "--internal", action="store_true", help="it alone leads containers nowhere else"
    )
    create.add_argument("name", help="letters, digits, '_', '.' and '-'")

    ls = verbs.add_parser("ls", help="list networks")
    listing.add_arguments(ls, _LISTING)

    inspect = verbs.add_parser("inspect", help="show networks, and who is on them")
    add_format(inspect)
    inspect.add_argument("names", nargs="+", metavar="NETWORK", help="its name")

    rm = verbs.add_parser("rm", help="remove networks that no container is on")
    rm.add_argument("-f", "--force", action="store_true", help="no error if there is none")
    rm.add_argument("names", nargs="+", metavar="NETWORK", help="its name")

    connect = verbs.add_parser("connect", help="put a container that does not run on a network")
    connect.add_argument("--ip", metavar="ADDRESS", help="its IPv4 address there")
    connect.add_argument("--ip6", metavar="ADDRESS", help="its IPv6 address there")
    connect.add_argument(
        "--alias", action="append", default=[], metavar="NAME", help="a further name there"
    )
    connect.add_argument("--mac-address", metavar="MAC", help="its Ethernet address there")
    _add_pair(connect)

    disconnect = verbs.add_parser("disconnect", help="take a container that does not run off one")
    _add_pair(disconnect)

    add_force(verbs.add_parser("prune", help="remove all networks that no container is on"))


def _add_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="its name")
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or its beginning")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    verbs = {
        "create": _create,
        "ls": _ls,
        "inspect": _inspect,
        "rm": _rm,
        "prune": _prune,
        "connect": _connect,
        "disconnect": _disconnect,
    }
    return verbs[args.network_verb](args)


def _create(args: argparse.Namespace) -> int:
    labels = dict(label.partition("=")[::2] for label in args.label)
    made = Networks().create(
        args.name,
        subnet=args.subnet,
        subnet6=args.subnet6,
        labels=labels,
        internal=args.internal,
    )
    print(made.name)
    return 0


def _ls(args: argparse.Namespace) -> int:
    listing.show(_LISTING, listing.select(_LISTING, Networks().list(), args.filter), args)
    return 0


def _inspect(args: argparse.Namespace) -> int:
    networks = Networks()
    found = []
    for name in args.names:
        members = [encode(member) for member in networks.members(name)]
        found.append({**encode(networks.find(name)), "members": members})
    show_documents(found, args.format)
    return 0


def _rm(args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        try:
            Networks().remove(name)
        except NotFoundError:
            if not args.force:
                raise
        print(name)

    return each(args.names, remove)


def _connect(args: argparse.Namespace) -> int:
    from drupe.container.connecting import connect
    from drupe.container.store import Store
    from drupe.net.attachment import add_options, check_mac
    from drupe.net.config import Attachment

    mac = "" if args.mac_address is None else check_mac(args.mac_address)
    one = add_options(Attachment(args.network, mac=mac), args.ip, args.ip6, args.alias)
    store = Store()
    connect(store, store.find(args.container), one)
    return 0


def _disconnect(args: argparse.Namespace) -> int:
    from drupe.container.connecting import disconnect
    from drupe.container.store import Store

    store = Store()
    disconnect(store, store.find(args.container), args.network)
    return 0


def _prune(args: argparse.Namespace) -> int:
    if not agreed(args, "all networks that no container is on"):
        return 0
    for name in Networks().prune():
        print(name)
    return 0
