"""The collector: makes readings durable, stores them, and turns failures into warnings that reach one person each."""

from edge_agent import __version__

__all__ = ["__version__"]
