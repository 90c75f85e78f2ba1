"""Does I/O: ways to tell a person, one file each."""
