"""Does I/O: time-series stores, one file each."""
