"""``drupe pull``: images from registries."""

from __future__ import annotations

import argparse

from drupe.errors import SpecError

EXAMPLES = (
    ("from Docker Hub", "drupe pull redis:7"),
    ("from a registry on this machine, without TLS", "drupe pull localhost:5000/app"),
    ("from one whose certificate nobody has signed", "drupe pull --tls-verify=false host:5000/app"),
)
SEE_ALSO = ("push", "login", "images")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_tls(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print the image's id only")
    parser.add_argument("--platform", help="linux/amd64, which is what is taken anyway")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="[REGISTRY/]NAME[:TAG|@DIGEST]")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.progress import Display
    from drupe.cli.several import each
    from drupe.image.pull import pull
    from drupe.platform.registry import check_image_platform

    checked = tls(args)
    if args.platform is not None:
        check_image_platform(args.platform)

    def bring(name: str) -> None:
        with Display(quiet=args.quiet) as display:
            image = pull(name, checked=checked, observe=display.bar)
        print(image.id if args.quiet else f"{image.name}  {image.id}")

    return each(args.images, bring)


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Declares ``--tls-verify``."""
    parser.add_argument(
        "--tls-verify",
        nargs="?",
        const="true",
        metavar="BOOL",
        help="demand TLS and check certificates (default: true; a registry on this machine may "
        "speak plain HTTP)",
    )


def tls(args: argparse.Namespace) -> bool | None:
    """What ``--tls-verify`` says; None: nothing.

    Raises:
        SpecError: neither true nor false.
    """
    if args.tls_verify is None:
        return None
    if args.tls_verify not in {"true", "false"}:
        raise SpecError(f"failed to use --tls-verify '{args.tls_verify}': neither true nor false")
    return bool(args.tls_verify == "true")
