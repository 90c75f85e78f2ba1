"""Pure. Resolved points, scaling, reading plan, poll schedule, device health."""
