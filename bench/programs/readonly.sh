#!/bin/bash
# Reads the tree that is named, twice: the first time as a new container does. Prints a figure and
# its milliseconds a line.
set -eu
tree=$1

measure() {
	local begin end
	begin=$(date +%s%N)
	eval "$2" >/dev/null 2>&1
	end=$(date +%s%N)
	echo "$1 $(((end - begin) / 1000)) us"
}

for time in first again; do
	measure "stat-$time" "find $tree -size +1000k"
	measure "read-$time" "find $tree -type f -print0 | xargs -0 cat"
	measure "tar-c-$time" "tar cf - $tree | cat"
done
