#!/bin/bash
# Reads the tree that is named, twice: the first time as a new container does. Prints a figure and
# its milliseconds a line.
set -eu
# shellcheck source=bench/programs/measure.sh
. "${BASH_SOURCE%/*}/measure.sh"
tree=$1

for time in first again; do
	measure "stat-$time" "find $tree -size +1000k"
	measure "read-$time" "find $tree -type f -print0 | xargs -0 cat"
	measure "tar-c-$time" "tar cf - $tree | cat"
done
