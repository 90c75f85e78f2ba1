"""Torture of the storage code: crash at every I/O, errors at every call, flipped bits, old disk states (docs/reliability.md)."""
