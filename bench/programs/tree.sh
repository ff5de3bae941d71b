#!/bin/bash
# Works on a tree of many small files, and on one large file, in the directory that is named; prints
# a figure and its milliseconds a line.
set -eu
# shellcheck source=bench/programs/measure.sh
. "${BASH_SOURCE%/*}/measure.sh"
cd "$1"
files=${2:-5000}
rm -rf drupe-bench
mkdir drupe-bench
cd drupe-bench
export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1

large='
import os, random, sys
random.seed(1)
fd = os.open("large", os.O_RDWR)
for _ in range(4000):
    at = random.randrange(16384) * 4096
    os.pwrite(fd, b"x" * 4096, at) if sys.argv[1] == "w" else os.pread(fd, 4096, at)
'
create="
import os
for i in range($files):
    if i % 50 == 0:
        os.makedirs(f'tree/{i // 1000}/{i // 50}')
    with open(f'tree/{i // 1000}/{i // 50}/{i}', 'w') as file:
        file.write('x' * 600)
"
measure create "python3 -c \"$create\""
measure stat 'find tree -size +1000k'
measure read 'find tree -type f -print0 | xargs -0 cat'
measure tar-c 'tar cf tree.tar tree'
measure tar-x 'mkdir other; tar xf tree.tar -C other'
git init -q tree
measure git-add 'git -C tree add -A'
git -C tree -c user.name=a -c user.email=a@b commit -qm all
sleep 1.2
measure git-status 'git -C tree status'
measure rm 'rm -r other'
measure write-large 'dd if=/dev/zero of=large bs=1M count=64'
measure read-large 'dd if=large of=/dev/null bs=1M'
measure random-write "python3 -c '$large' w"
measure random-read "python3 -c '$large' r"
# What fio counts itself, without its start: the time of reading (field 9) and of writing (50).
with_fio() {
	local name=$1
	shift
	fio --minimal --name=j --filename=large --size=64m --thread "$@" |
		awk -F ';' -v name="$name" '{print name, ($9 + $50) * 1000, "us"}'
}
if command -v fio >/dev/null; then
	with_fio fio-write --rw=write --bs=1m
	with_fio fio-read --rw=read --bs=1m
	with_fio fio-random-write --rw=randwrite --bs=4k --io_size=32m
	with_fio fio-random-read --rw=randread --bs=4k --io_size=32m
	with_fio fio-fsync --rw=write --bs=4k --io_size=2m --fsync=1
fi
cd ..
rm -rf drupe-bench
