"""What somebody who comes from docker or podman types on a day, where no other test is about it."""

from __future__ import annotations

import json

from tests.integration.conftest import Cli


def test_help_of_a_verb_by_either_name(cli: Cli) -> None:
    assert cli.out("help", "logs") == cli.out("logs", "--help")
    assert cli.out("help", "volume", "ls").startswith("usage: drupe volume ls")
    assert cli.out("container", "logs", "--help") == cli.out("logs", "--help")


def test_what_is_not_there_says_why(cli: Cli) -> None:
    for arguments, reason in (
        (("compose", "up"), b"'drupe network --help'"),
        (("attach", "web"), b"'drupe reattach'"),
        (("rnu", "busybox"), b"is 'run' meant?"),
        (("run", "--gpus", "all", "busybox"), b"graphics processors cannot be used"),
        (("run", "--pid=host", "busybox"), b"none of the host's processes"),
        (("run", "--platform", "linux/arm64", "busybox"), b"programs for linux/amd64"),
        (("pull", "--platform", "linux/s390x", "busybox"), b"programs for linux/amd64"),
    ):
        assert reason in cli(*arguments, status=125).stderr, arguments


def test_info_counts(cli: Cli) -> None:
    cli("create", "--name", "c", "--platform", "linux/amd64", "busybox", "true")
    (told,) = [json.loads(cli.out("info", "--format", "json"))]
    assert (told["Containers"], told["ContainersStopped"]) == (1, 1)
    assert told["Images"] == len(set(cli.out("images", "-q").split()))
    assert cli.out("system", "info", "-f", "{{.Containers}} {{.OSType}}") == "1 linux"
    assert "Containers: 1\n" in cli.out("info")
    cli("rm", "c")


def test_all_of_them(cli: Cli) -> None:
    assert b"none given" in cli("stop", status=125).stderr
    cli("run", "-d", "--name", "a", "busybox", "sleep", "1000")
    cli("create", "--name", "b", "busybox", "true")
    assert b"both names and --all" in cli("stop", "-a", "b", status=125).stderr
    assert cli.out("pause", "--all") == "a"
    assert cli.out("unpause", "--all") == "a"
    assert cli.out("stop", "--timeout", "0", "-a") == "a"
    assert cli.out("rm", "-a").split() == ["a", "b"]
    gone = cli("rm", "-f", "a")
    assert (gone.stdout, b"no such container" in gone.stderr) == (b"", True)


def test_a_terminal_without_anybody_at_it(cli: Cli) -> None:
    done = cli("run", "--rm", "-t", "busybox", "sh", "-c", "tty; stty size")
    assert done.stdout == b"/dev/pts/0\r\n24 80\r\n"


def test_inspect_speaks_as_docker_does(cli: Cli) -> None:
    cli("run", "-d", "--name", "w", "-l", "a.b=c", "-e", "X=y", "-p", "80", "-v", "kept:/k",
        "--restart", "on-failure:2", "busybox", "sleep", "1000")  # fmt: skip
    for template, text in (
        ("{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}", "running true 0"),
        ("{{.Name}} {{.Config.Image}} {{.RestartCount}}", "/w busybox 0"),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ("{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}}{{end}}", "volume kept /k"),
        ("{{range $p, $at := .NetworkSettings.Ports}}{{$p}} {{len $at}}{{end}}", "80/tcp 1"),
        ("{{.HostConfig.RestartPolicy.MaximumRetryCount}}", "2"),
        ("{{if .State.Health}}checked{{else}}unchecked{{end}}", "unchecked"),
    ):
        assert cli.out("inspect", "-f", template, "w") == text, template
    (told,) = json.loads(cli.out("inspect", "--type", "container", "w"))
    assert "X=y" in told["Config"]["Env"]
    assert (told["Path"], told["Args"]) == ("sleep", ["1000"])
    assert cli.out("inspect", "-f", "{{json .Config.Cmd}}", "busybox") == '["/bin/sh"]'
    assert b"no such container or image" in cli("inspect", "none", status=125).stderr
    cli("kill", "w")
    assert cli.out("wait", "w") == "137"
    assert cli.out("inspect", "-f", "{{.State.ExitCode}}", "w") == "137"
    assert cli.out("container", "inspect", "-f", "{{.State.FinishedAt}}", "w").startswith("20")
    cli("rm", "-v", "w")
    cli("volume", "rm", "kept")


def test_lists_as_docker_has_them(cli: Cli) -> None:
    for name in ("one", "two", "three"):
        cli("create", "--name", name, "busybox", "true")
    health = ("--health-cmd", "true", "--health-interval", "100ms")
    cli("run", "-d", "--name", "up", "-p", "80", *health, "busybox", "sleep", "99")
    port = cli.out("port", "up", "80").rpartition(":")[2]
    names = ("ps", "--format", "{{.Names}}")
    assert cli.out(*names, "-l") == "up"
    assert cli.out(*names, "-n", "2").split() == ["up", "three"]
    assert cli.out(*names, "-a", "-f", "before=two") == "one"
    assert cli.out(*names, "-a", "-f", "since=two").split() == ["up", "three"]
    assert cli.out(*names, "-f", f"publish={port}") == "up"
    assert cli.out(*names, "-f", f"publish={port}/udp") == ""
    assert cli.out(*names, "-a", "-f", "health=none").split() == ["three", "two", "one"]
    cli("wait", "--condition", "healthy", "--timeout", "40", "up")
    assert cli.out(*names, "-f", "health=healthy") == "up"
    assert cli.out("ps", "-s").splitlines()[0].endswith("SIZE")
    assert cli.out("top", "up", "-eo", "pid,args").split("\n")[0].split() == ["PID", "COMMAND"]
    assert cli.out("top", "--format", "{{.Command}}", "up", "aux") == "sleep 99"
    assert b"no such column" in cli("top", "up", "-o", "x", status=125).stderr
    assert b"options of drupe go before" in cli("top", "up", "--quiet", status=125).stderr
    told = cli.out("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemPerc}}")
    assert told.startswith("up 1 ")
    cli("rm", "-fa")


def test_options_of_docker_that_cost_nothing(cli: Cli) -> None:
    cli("run", "-d", "--name", "w", "--log-driver", "none", "busybox", "sh", "-c", "echo; sleep 99")
    devices = ("--device", "/dev/fuse", "--device", "/dev/net/tun:/dev/net/tun:rw")
    command = "test -c /dev/fuse && test -c /dev/net/tun && echo there; sleep 99"
    cli("run", "-dq", "--replace", "--name", "w", "-P", "--expose", "81/udp", *devices, "busybox",
        "sh", "-c", command)  # fmt: skip
    assert cli.out("port", "w").startswith("81/udp -> 127.0.0.1:")
    assert cli.out("ps", "-a", "--format", "{{.Names}}") == "w"
    assert "there" in cli.out("exec", "w", "sh", "-c", command.partition(";")[0])
    shown = cli.out("events", "--since", "1m", "--until", "0s", "--format", "{{.Action}} {{.Name}}")
    assert shown.splitlines() == ["create w", "start w"]
    refused = cli("run", "--device", "/dev/sda", "busybox", status=125)
    assert b"no drivers for its host's" in refused.stderr
    assert b"needs a --name" in cli("run", "--replace", "busybox", status=125).stderr
    memory = ("-m", "64m", "--memory-reservation", "32m", "--memory-swap")
    cli("run", "--rm", *memory, "64m", "busybox", "true")
    assert b"less than -m, which is 64m" in cli("run", *memory, "63m", "busybox", status=125).stderr
    cli("rm", "-f", "w")


def test_volumes_one_after_the_other(cli: Cli) -> None:
    for name in ("one", "two"):
        cli("volume", "create", "-d", "local", name)
    assert cli.out("volume", "inspect", "-f", "{{.Name}}", "one", "two") == "one\ntwo"
    gone = cli("volume", "rm", "one", "none", "two", status=125)
    assert gone.stdout == b"one\ntwo\n"
    assert b"failed to find volume 'none'" in gone.stderr
    unknown = cli("volume", "create", "--colour", "red", status=125)
    assert b"arguments of 'drupe volume create': unrecognized arguments" in unknown.stderr


def test_versions_for_scripts(cli: Cli) -> None:
    version = cli.out("version", "-f", "{{.Server.Version}}")
    assert cli.out("version").startswith(f"drupe {version}\n")
    assert cli.out("info", "-f", "{{.ServerVersion}}") == version
