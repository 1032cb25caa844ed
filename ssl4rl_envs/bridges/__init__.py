"""Ways out to other libraries: one short module a partner, imported on demand, that hands over plain data.

A bridge takes an environment's id and arguments and gives what the partner reads. It imports the partner, if at all, inside
its functions, and never the trainer of this suite.
"""
