"""Five kinds of environment for tests of what all tasks share: spaces, seeds, masks, endings, processes, arguments.

Whatever `SSLEnv`, `SSLVectorEnv`, `Questions` and `Interface` do with a task depends on these differences alone. What a task
says or scores itself is tested over the whole registry.
"""

from __future__ import annotations

KINDS = {
    "SSL4RL/FlipPrediction-v0": "one number out of few (Discrete), and two pictures of one and the same space",
    "SSL4RL/Mixture-v0": "several numbers (MultiDiscrete), pictures of several sizes, parts, and a fact in `info`",
    "SSL4RL/PaintedReconstruction-v0": "numbers on a scale (Box), and no words for them",
    "SSL4RL/PatchSwap-v0": "several steps: a state, a horizon, and a mask of actions in `info`",
    "SSL4RL/WordOfNode-v0": "a graph: arrays of several types and shapes, and no picture beside the prompt",
}
"""Environment id -> what is different about it; ids that are not of the suite are registered in `tests.conftest`."""
