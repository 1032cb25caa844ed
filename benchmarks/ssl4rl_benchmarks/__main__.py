"""``python -m ssl4rl_benchmarks`` is the command ``ssl4rl``."""

import sys

from ssl4rl_benchmarks.cli import main

sys.exit(main())
