"""Pure. Rule expressions, window functions, detectors - one file each."""
