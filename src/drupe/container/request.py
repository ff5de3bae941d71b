"""From what a user asks of ``run`` to a container's specification: everything looked up, once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.container.binding import (
    Mounts,
    Volume,
    find_shared,
    first_of_each,
    image_volumes,
    parse_lender,
    parse_mounts,
    resolve_volume,
)
from drupe.container.images import PullPolicy
from drupe.container.layer import choose_size
from drupe.container.life import HealthRequest, Restart, parse_restart, resolve_health
from drupe.container.limits import (
    Limits,
    check_cpu_shares,
    check_pids,
    parse_cpus,
    parse_cpuset,
)
from drupe.container.networks import NetworkRequest, resolve_network
from drupe.container.settings import (
    Settings,
    check_oom_score,
    parse_capabilities,
    parse_security_options,
    parse_ulimits,
    parse_umask,
)
from drupe.container.spec import (
    MEMORY_DEFAULT_BYTES,
    ContainerSpec,
    check_hostname,
)
from drupe.container.stopping import GRACE_S, Stopping, check_grace, parse_signal
from drupe.container.storage import DISK, Storage, parse_storage
from drupe.container.timezone import check_timezone
from drupe.container.tuning import Tuning, parse_shm_size, parse_sysctls
from drupe.errors import SpecError
from drupe.image.find import find_image
from drupe.image.store import Image
from drupe.kbuild.kernels import find_initramfs, find_kernel
from drupe.oci.config import ImageConfig
from drupe.platform.registry import choose_platform
from drupe.store.paths import state_home

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RunRequest(NamedTuple):
    """What ``run`` was asked for; unset fields take the image's or drupe's defaults.

    Attributes:
        image: name of an image, or None with ``rootfs``.
        pull: when a registry is to be asked for the image; ``resolve`` asks none.
        args: the command; empty: the image's.
        rootfs: a directory to run instead of an image.
        entrypoint: a program that gets the command as its arguments; empty: none, not even the
            image's.
        env: NAME → value, above the image's.
        cwd: directory of the main process.
        user: user[:group] of the main process; empty: the image's, or root.
        groups: supplementary groups of the main process.
        hostname: default: the beginning of the id.
        volumes: HOST:GUEST[:ro], NAME:GUEST or GUEST.
        mounts: the same as docker's ``--mount`` says it: type=…,src=…,dst=….
        volumes_from: CONTAINER[:ro], whose volumes it has, too.
        memory_bytes: the guest's memory.
        platform: what runs the kernel; default: ``default_platform()``.
        kernel: a profile, the beginning of a kernel's id, or a path.
        terminal: the main process gets a PTY.
        stdin: the main process gets input.
        remove: the container goes when it ends.
        labels: the user's own notes.
        log: output is kept for ``logs``.
        ulimits: NAME=SOFT[:HARD].
        cap_add: names of capabilities that the processes may have.
        cap_drop: those that they may not; ALL: none but the former.
        privileged: all capabilities, whatever else is said.
        security_options: ``no-new-privileges``.
        umask: octal.
        oom_score_adj: -1000 to 1000.
        sysctls: settings of the guest's kernel.
        shm_size: of /dev/shm; default: half of the memory.
        stop_signal: what ``stop`` sends; default: the image's, or SIGTERM.
        stop_timeout_s: seconds until SIGKILL; default: ``GRACE_S``.
        cpus: processors' worth of time.
        cpu_shares: weight against others; 0: the usual one.
        cpuset_cpus: processors of the host to run on: 0-2,5.
        pids_limit: processes and threads; 0 or less: no limit.
        restart: no, on-failure[:N], always, unless-stopped.
        timezone: Area/City, or local: this host's.
        health: what is asked for beside the image's checks.
        readonly: the root cannot be written.
        tmpfs: file systems in memory, PATH[:OPTION,...] each.
        storage_options: of the writable layer: size=SIZE, layer=disk or layer=memory.
        expose: ports to be published beside those that the image exposes, where all are.
        network: how it is connected, and what may be reached.
    """

    image: str | None = None
    pull: PullPolicy = PullPolicy.MISSING
    args: tuple[str, ...] = ()
    rootfs: str | None = None
    entrypoint: str | None = None
    env: Mapping[str, str] = MappingProxyType({})
    cwd: str | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    hostname: str | None = None
    volumes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    volumes_from: tuple[str, ...] = ()
    memory_bytes: int = MEMORY_DEFAULT_BYTES
    platform: str | None = None
    kernel: str = "general"
    terminal: bool = False
    stdin: bool = False
    remove: bool = False
    labels: Mapping[str, str] = MappingProxyType({})
    log: bool = True
    ulimits: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    security_options: tuple[str, ...] = ()
    umask: str | None = None
    oom_score_adj: int | None = None
    sysctls: Mapping[str, str] = MappingProxyType({})
    shm_size: str | None = None
    stop_signal: str | None = None
    stop_timeout_s: float | None = None
    cpus: str | None = None
    cpu_shares: int = 0
    cpuset_cpus: str | None = None
    pids_limit: int = 0
    restart: str = "no"
    timezone: str | None = None
    health: HealthRequest = HealthRequest()
    readonly: bool = False
    tmpfs: tuple[str, ...] = ()
    storage_options: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    network: NetworkRequest = NetworkRequest()


def resolve(wanted: RunRequest, container_id: str, name: str) -> ContainerSpec:
    """Looks everything up and checks it.

    Raises:
        SpecError: something is wrong with the request.
        NotFoundError: there is no such image or kernel.
    """
    platform = choose_platform(wanted.platform).name
    image, rootfs = _root(wanted)
    defaults = ImageConfig() if image is None else image.config
    kernel = find_kernel(wanted.kernel)
    mounts = parse_mounts(wanted.volumes, wanted.mounts)
    storage = _storage(wanted, mounts)
    hostname = check_hostname(wanted.hostname or container_id[:12])
    return ContainerSpec(
        id=container_id,
        name=name,
        platform=platform,
        kernel=str(kernel.linux),
        initramfs=str(find_initramfs()),
        memory_bytes=wanted.memory_bytes,
        image=None if image is None else str(image.root),
        image_name=wanted.image or "",
        image_id="" if image is None else image.id,
        rootfs=rootfs,
        hostname=hostname,
        volumes=_volumes(wanted, mounts, defaults, storage),
        args=_command(wanted, defaults),
        env={"PATH": _PATH, "HOSTNAME": hostname, **defaults.env, **wanted.env},
        cwd=wanted.cwd or defaults.cwd or "/",
        user=wanted.user or defaults.user,
        groups=wanted.groups,
        terminal=wanted.terminal,
        stdin=wanted.stdin,
        remove=wanted.remove,
        labels=dict(wanted.labels),
        log=wanted.log,
        created_ns=time.time_ns(),
        settings=_settings(wanted),
        timezone="" if wanted.timezone is None else check_timezone(wanted.timezone),
        tuning=Tuning(
            parse_sysctls(wanted.sysctls),
            0 if wanted.shm_size is None else parse_shm_size(wanted.shm_size),
        ),
        network=resolve_network(wanted.network, kernel.config, (*defaults.ports, *wanted.expose)),
        stopping=Stopping(
            parse_signal(wanted.stop_signal or defaults.stop_signal or "TERM"),
            GRACE_S if wanted.stop_timeout_s is None else check_grace(wanted.stop_timeout_s),
        ),
        limits=Limits(
            cpus=0.0 if wanted.cpus is None else parse_cpus(wanted.cpus),
            cpu_shares=check_cpu_shares(wanted.cpu_shares),
            cpuset=() if wanted.cpuset_cpus is None else parse_cpuset(wanted.cpuset_cpus),
            pids=check_pids(wanted.pids_limit),
        ),
        restart=_restart(wanted),
        health=resolve_health(wanted.health, defaults.healthcheck),
        storage=storage,
    )


def _restart(wanted: RunRequest) -> Restart:
    restart = parse_restart(wanted.restart)
    restart.check(remove=wanted.remove)
    return restart


def _command(wanted: RunRequest, defaults: ImageConfig) -> tuple[str, ...]:
    """The main process: as docker does it, another entrypoint drops the image's command, too."""
    if wanted.entrypoint is None:
        args = (*defaults.entrypoint, *(wanted.args or defaults.cmd))
    else:
        args = (*filter(None, [wanted.entrypoint]), *wanted.args)
    if not args:
        raise SpecError(
            "failed to run a container: no command given", hint="name one after the image"
        )
    return args


def _volumes(
    wanted: RunRequest, mounts: Mounts, defaults: ImageConfig, storage: Storage
) -> tuple[Volume, ...]:
    """What it was asked for, then what others lend, then what the image wants."""
    volumes = [*mounts.volumes, *_lent(wanted), *image_volumes(defaults.volumes)]
    taken = [one.target for one in storage.tmpfs]
    return tuple(map(resolve_volume, first_of_each(volumes, taken)))


def _lent(wanted: RunRequest) -> Iterator[Volume]:
    lenders = [parse_lender(text) for text in wanted.volumes_from]
    if not lenders:
        return
    from drupe.container.store import Store

    for container, readonly in lenders:
        for volume in Store().find(container).spec.volumes:
            yield volume._replace(readonly=readonly or volume.readonly)


def _storage(wanted: RunRequest, mounts: Mounts) -> Storage:
    storage = parse_storage(
        wanted.storage_options, readonly=wanted.readonly, tmpfs=(*wanted.tmpfs, *mounts.tmpfs)
    )
    if storage.layer == DISK and not storage.size_bytes:
        return storage._replace(size_bytes=choose_size(state_home()))
    return storage


def _settings(wanted: RunRequest) -> Settings:
    score = wanted.oom_score_adj
    return Settings(
        rlimits=parse_ulimits(wanted.ulimits),
        capabilities=parse_capabilities(
            wanted.cap_add, wanted.cap_drop, privileged=wanted.privileged
        ),
        no_new_privileges=parse_security_options(wanted.security_options),
        umask=None if wanted.umask is None else parse_umask(wanted.umask),
        oom_score_adj=None if score is None else check_oom_score(score),
    )


def _root(wanted: RunRequest) -> tuple[Image | None, str | None]:
    if wanted.rootfs is None:
        if wanted.image is None:
            raise SpecError(
                "failed to run a container: no image given",
                hint="name an image ('busybox'), or a directory with --rootfs",
            )
        return find_image(wanted.image), None
    return None, str(find_shared("root", wanted.rootfs))
