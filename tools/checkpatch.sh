#!/usr/bin/env bash
# Runs the kernel's own checkpatch over the overlay and the guest. It comes with the kernel source,
# which is fetched into the cache where it is not there yet.
set -eu
cd "$(dirname "$0")/.."

tree=$(.venv/bin/python - <<'PYTHON'
from drupe.kbuild import assets, source
from drupe.kbuild.progress import silent
from drupe.kbuild.versions import read_versions

versions = read_versions(assets.kernel_dir() / "versions.toml")
print(source.obtain(None, None, versions, silent).tree)
PYTHON
)

# FILE_PATH_CHANGES: MAINTAINERS is not ours. MISSING_SIGN_OFF, NO_AUTHOR_SIGN_OFF: that is for
# upstream. SPLIT_STRING: messages are wrapped at 100 columns. VOLATILE: memory shared with the host.
# CONFIG_DESCRIPTION: short options need no four lines of help. PREFER_DEFINED_ATTRIBUTE_MACRO: the
# side of the host has no such macros. MACRO_ARG_UNUSED: of macros that are upstream's. ENOSYS: said
# of system call numbers only.
export GIT_DIR=/nonexistent # no SPDX check: it needs modules that are not worth installing
common=(
	--root="$tree" --terse --no-summary --show-types --max-line-length=100 --color=never
	--ignore "FILE_PATH_CHANGES,MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,SPLIT_STRING,VOLATILE"
	--ignore "CONFIG_DESCRIPTION,PREFER_DEFINED_ATTRIBUTE_MACRO,MACRO_ARG_UNUSED,ENOSYS"
)

# The guest and the benchmarks are no kernel code: they have no such macros, and libc's conventions.
libc=PREFER_DEFINED_ATTRIBUTE_MACRO,STRCPY,STRLCPY,USE_NEGATIVE_ERRNO,ARRAY_SIZE
libc=$libc,EMBEDDED_FUNCTION_NAME

mapfile -t files < <(find kernel/files -name '*.[ch]' | sort)
mapfile -t programs < <(find guest netpolicy bench -name '*.[ch]' | sort)
mapfile -t patches < <(find kernel/patches -name '*.patch' | sort)
check=(perl "$tree/scripts/checkpatch.pl" "${common[@]}")
status=0
"${check[@]}" --file "${files[@]}" || status=1
"${check[@]}" --ignore "$libc" --file "${programs[@]}" || status=1
if [ "${#patches[@]}" -gt 0 ]; then
	"${check[@]}" "${patches[@]}" || status=1
fi
exit "$status"
