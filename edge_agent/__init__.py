"""The agent: reads instruments on a site's buses and delivers every reading exactly once to the collector."""

__version__ = "0.1.0"
