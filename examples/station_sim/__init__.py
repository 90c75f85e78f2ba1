"""Simulated water stations: an independent program that speaks real protocols on real transports.

It shares no code with the product.
`python -m examples.station_sim --help` shows how to start it; docs/station-simulator.md explains it.
"""
