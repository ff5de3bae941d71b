# shellcheck shell=bash
# For scripts that measure: a figure and its time, a line each.

measure() {
	local begin end
	begin=$(date +%s%N)
	eval "$2" >/dev/null 2>&1
	end=$(date +%s%N)
	echo "$1 $(((end - begin) / 1000)) us"
}
