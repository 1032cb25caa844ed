"""``ssl4rl bench``: declared grids of environments, agents and seeds, and reports with intervals."""
