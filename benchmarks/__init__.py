"""Figures that the product is asked for, measured: `python -m benchmarks flash`. docs/benchmarks.md keeps what came out."""
