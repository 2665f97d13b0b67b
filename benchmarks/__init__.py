"""Benchmarks: ratios to bare counterparts, measured in one run. No test depends on them."""
