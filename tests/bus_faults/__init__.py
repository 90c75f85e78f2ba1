"""A million exchanges under faults in simulated time: `python -m tests.bus_faults --exchanges 1000000 --seed 1`."""
