"""Tasks over graphs, one file each."""
