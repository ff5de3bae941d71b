"""Benchmarks: programs, not tests. Both sides in one run, interleaved; results written by them."""
