"""Image tasks, one file each."""
