"""The paper as commands: its two halves, its ablations, and its rewards and data under our audit.

`declaration.py` says what the paper does, as data, and which of our environments is closest; `sizes.py` how large it is done;
`trials.py` makes trials of both; `worker.py` does one; `theirs.py` restates the paper's rules of reward and of data, and
`audit.py` puts the same questions to them and to our environments; `cost.py` says what a run of full size takes.
"""
