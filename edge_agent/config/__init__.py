"""Site files and profiles: load, check, merge, resolve."""
