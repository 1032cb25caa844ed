"""reasoning-gym: our questions beside its own in one dataset.

python examples/reasoning_gym_composite.py
"""

import reasoning_gym
from reasoning_gym.composite import DatasetSpec

from ssl4rl_envs.bridges.reasoning_gym import register


def mixed(size=100, seed=0):
    """Half questions about edges of a citation graph, half legs to be counted."""
    register()
    ours = DatasetSpec(name="ssl4rl", weight=1, config={"env_id": "SSL4RL/EdgePrediction-v0"})
    theirs = DatasetSpec(name="leg_counting", weight=1, config={})
    return reasoning_gym.create_dataset("composite", size=size, seed=seed, datasets=[ours, theirs])


if __name__ == "__main__":
    data = mixed(10)
    for item in data:
        print(item["metadata"]["source_dataset"], item["answer"], data.score_answer(item["answer"], item))
