"""Mutation of kept examples against every decoder: `python -m tests.fuzz --target contract --runs 100000 --seed 1`."""
