"""Options of a container's networks."""

from __future__ import annotations

import argparse

from drupe.container.networks import NetworkRequest
from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("network").add_argument
    add(
        "--network",
        "--net",
        action="append",
        default=[],
        metavar="NETWORK",
        help="none, default, ns:PATH[,dev=NAME], macvlan:PARENT[,ip=ADDRESS/BITS"
        "[,gateway=ADDRESS]]; or what 'drupe network create' made: NAME, or name=NAME[,alias=NAME]"
        "[,ip=ADDRESS][,ip6=ADDRESS][,mac-address=MAC], several times if need be "
        "(default: default)",
    )
    add(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="[[ADDRESS:]HOST:]GUEST[/udp]",
        help="listen for a port of the container, on 127.0.0.1 unless an address is given",
    )
    add(
        "-P",
        "--publish-all",
        action="store_true",
        help="listen for all ports that the image exposes, on free ones of the host",
    )
    add(
        "--expose",
        action="append",
        default=[],
        metavar="PORT[/udp]",
        help="a port for -P as if the image exposed it",
    )
    add(
        "--net-allow",
        action="append",
        default=[],
        metavar="RULE",
        help="what it may reach: host[:PORT], none, ADDRESS[/BITS][:PORT], NAME[:PORT] "
        "(default: all but the host)",
    )
    add("--dns", action="append", default=[], metavar="ADDRESS", help="a resolver")
    add("--dns-search", action="append", default=[], metavar="DOMAIN", help="a domain to search")
    add(
        "--dns-option",
        "--dns-opt",
        action="append",
        default=[],
        metavar="OPTION",
        help="see resolv.conf(5)",
    )
    add(
        "--add-host",
        action="append",
        default=[],
        metavar="NAME:ADDRESS",
        help="a line of /etc/hosts; host-gateway stands for the host's address",
    )
    add("--mac-address", metavar="MAC", help="of its first interface")
    add("--ip", metavar="ADDRESS", help="its address on the first named network")
    add("--ip6", metavar="ADDRESS", help="the same, IPv6")
    add(
        "--network-alias",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name on the first named network",
    )


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    return request._replace(
        expose=tuple(args.expose),
        network=NetworkRequest(
            networks=tuple(args.network),
            publish=tuple(args.publish),
            publish_all=args.publish_all,
            allow=tuple(args.net_allow),
            dns=tuple(args.dns),
            dns_search=tuple(args.dns_search),
            dns_options=tuple(args.dns_option),
            hosts=tuple(args.add_host),
            mac=args.mac_address,
            ip=args.ip,
            ip6=args.ip6,
            aliases=tuple(args.network_alias),
        ),
    )
