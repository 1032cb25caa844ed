"""Data sets of Minari: what a solver and what a random policy does, and how they are read.

python examples/minari_episodes.py
"""

import minari

from ssl4rl_envs.bridges.minari import record


def main(episodes=1000, **task):
    """Record two data sets, and return the mean return of each as it is read back."""
    task = {"source": "digits", "image_size": 36, "angles": 4, **task}
    returns = {}
    for policy in ("solver", "random"):
        name = f"ssl4rl/rotation/{policy}-v0"
        record("SSL4RL/Rotation-v0", name, episodes, policy=policy, **task)
        data = minari.load_dataset(name)
        returns[policy] = sum(episode.rewards.sum() for episode in data) / data.total_episodes
    return returns


if __name__ == "__main__":
    print(main())
