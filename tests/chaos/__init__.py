"""Chaos: the real programs under a random but seeded schedule of kills and faults, and an exact account (docs/testing.md)."""
