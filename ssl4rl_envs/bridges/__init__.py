"""Ways out to other libraries, imported on demand.

Some take plain data, and anything can be fed with them: `rows` and `score`, `messages` and `tools`, `keys` and `episodes`.
Over these stands a short module for each partner: it takes an environment's id and arguments, and gives what the partner
reads. It imports the partner inside its functions, unless the partner looks for classes in it, and never the trainer of this
suite.
"""
