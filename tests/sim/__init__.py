"""The line under faults: agents, broker, network, disks and collector in one seeded thread (`python -m tests.sim --help`)."""
