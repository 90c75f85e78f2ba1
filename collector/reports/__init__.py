"""Summaries for people."""
