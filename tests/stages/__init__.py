"""Planted breaks, one or more for every stage of the line, and the tests that must notice each of them."""
