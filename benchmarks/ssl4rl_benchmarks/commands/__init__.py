"""The sub-commands of ``ssl4rl``, one file each: flags, what is done, what is printed."""
