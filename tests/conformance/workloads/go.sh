#!/bin/sh
# Builds the Go program here, with the race of a whole toolchain, then runs it.
set -eu
export HOME=/tmp GOCACHE=/tmp/gocache GO111MODULE=off CGO_ENABLED=0 GOFLAGS=
go build -o /tmp/program /workloads/program.go
exec /tmp/program "$1"
