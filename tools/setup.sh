#!/usr/bin/env bash
# Makes a checkout ready on Debian 12 or later: packages, a virtual environment, its launcher.
# Runs as root or with sudo; calls apt only when a package is missing. Run again at any time.
set -eu
cd "$(dirname "$0")/.."
checkout=$PWD
venv=$checkout/.venv

packages=(
	bc bison flex gcc libc6-dev make patch perl xz-utils # the kernel build
	debian-archive-keyring                               # checks the kernel's source
	musl-tools                                           # the guest's init
	ccache                                               # a second kernel build takes seconds
	python3-venv                                         # the virtual environment
	passt                                                # networks of containers
	busybox-static cpio redis-server redis-tools tmux    # the tests
	iproute2                                             # named networks, the tests
	e2fsprogs                                            # mke2fs: writable layers
	erofs-utils zstd                                     # the tests of images
	docker-registry                                      # the tests of pull and push
	fish mandoc zsh                                      # the tests of completion and manual
	shellcheck                                           # lint
)

say() {
	echo "setup: $*" >&2
}

missing_packages() {
	local package
	for package in "${packages[@]}"; do
		if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
			echo "$package"
		fi
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "needs root for: $*"
		say "install sudo, or run this as root: apt-get install ${packages[*]}"
		return 1
	fi
}

# A package that holds a service must not start it: the tests start their own.
policy=/usr/sbin/policy-rc.d
policy_is_ours=

remove_policy() {
	if [ -n "$policy_is_ours" ]; then
		as_root rm -f "$policy"
	fi
}

install_packages() {
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install)
	say "installing $*"
	if [ ! -e "$policy" ]; then
		policy_is_ours=yes
		trap remove_policy EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	if ! as_root "${apt[@]}" "$@" >/dev/null 2>&1; then
		as_root apt-get -q update
		as_root "${apt[@]}" "$@"
	fi
	local service
	for service in docker-registry redis-server; do
		case " $* " in
		*" $service "*)
			if [ -d /run/systemd/system ]; then
				as_root systemctl disable "$service" >/dev/null 2>&1 || true
			fi
			;;
		esac
	done
}

# The distribution's python starts much faster than what version managers put in front of it.
find_python() {
	local candidate
	for candidate in /usr/bin/python3 python3; do
		if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			echo "$candidate"
			return
		fi
	done
	say "needs python 3.11 or later"
	return 1
}

make_venv() {
	local python
	python=$(find_python)
	if [ ! -x "$venv/bin/python" ]; then
		say "making .venv with $python"
		"$python" -m venv "$venv"
	fi
	say "installing drupe and its development tools into .venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
}

# pip's launchers run site.py and read .pth files first; these do not, and start faster.
make_launcher() {
	local name=$1 module=$2 packages_dir
	packages_dir=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	cat >"$venv/bin/.$name.new" <<-LAUNCHER
		#!$venv/bin/python -IS
		import _signal
		import sys

		# Ctrl-C ends it without a word until main() minds it; signal itself imports for long.
		if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
		    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
		sys.path.insert(0, "$checkout/src")
		sys.path.append("$packages_dir")
		from $module import main

		if __name__ == "__main__":
		    sys.exit(main())
	LAUNCHER
	chmod 755 "$venv/bin/.$name.new"
	mv "$venv/bin/.$name.new" "$venv/bin/$name"
}

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -gt 0 ]; then
	install_packages "${missing[@]}"
fi
make_venv
make_launcher drupe drupe.cli.main
make_launcher drupe-runtime drupe.runtime.main
touch "$venv/.ready"
