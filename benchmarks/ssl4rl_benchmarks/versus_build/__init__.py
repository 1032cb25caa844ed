"""Two commits side by side: how many times as fast the environments of one are as those of another.

python -m ssl4rl_benchmarks.versus_build BASE            every case, this working tree against the commit BASE
python -m ssl4rl_benchmarks.versus_build BASE --only vector --seconds 1 --rounds 5
python -m ssl4rl_benchmarks.versus_build --list           the cases

Each commit is checked out into a git worktree of its own, and each case runs in one process a commit; the processes are
timed in turns, so that whatever else the machine does slows both. What a case does is in `worker`, which knows only what
both commits offer: `gym.make`, `gym.make_vec`, `reset`, `step`. Other libraries that are measured beside are in `peers`;
large folders in `bulk`, steps of training in `training`, what the demo costs in `demo`.
"""
