"""``ssl4rl audit``: whether an environment rewards what it says, and nothing else."""
