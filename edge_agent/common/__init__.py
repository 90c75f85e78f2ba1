"""Small things that agent and collector share: problems for people, located YAML, clocks, hazards."""
