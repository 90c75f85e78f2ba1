"""Does I/O: `python -m edge_agent`."""

from __future__ import annotations

from edge_agent.cli.main import main

if __name__ == "__main__":
    main()
