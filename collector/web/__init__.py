"""The page and the REST interface."""
