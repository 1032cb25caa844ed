"""Questions written to folders, in the forms in which other libraries read data sets.

from ssl4rl_envs.bridges.exports import Plan, export

export(Plan("SSL4RL/Rotation-v0", n=10_000, format="parquet"), Path("rotation"))
datasets.load_dataset("rotation")

`plan.py` says what is exported, `exporting.py` does it shard by shard, and every other module is one format.
"""

from ssl4rl_envs.bridges.exports.exporting import FORMATS, MANIFEST, Export, export
from ssl4rl_envs.bridges.exports.plan import Plan

__all__ = ["FORMATS", "MANIFEST", "Export", "Plan", "export"]
