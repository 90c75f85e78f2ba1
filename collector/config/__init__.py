"""The collector's own file and the county file."""
