"""Figures and pages of the documentation, each made by a command: ``python -m ssl4rl_benchmarks.figures.NAME``."""
