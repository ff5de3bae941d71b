#!/bin/sh
# Compiles the Java program here, then runs it under two collectors.
set -eu
javac -d /tmp/classes /workloads/Program.java
for collector in Serial G1; do
	java -Xmx200m "-XX:+Use${collector}GC" -cp /tmp/classes Program "$(($1 / 2 + 1))"
done
