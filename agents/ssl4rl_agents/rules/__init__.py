"""Rules written by hand, one a task: what can be had without learning."""
