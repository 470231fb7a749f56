"""Benchmarks: a cell and unroller beside its rivals, interleaved in one process, as ratios with their intervals."""
