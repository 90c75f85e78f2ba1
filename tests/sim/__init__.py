"""The line under faults, agents to log, in one seeded thread (`python -m tests.sim --help`)."""
