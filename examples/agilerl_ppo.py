"""Evolutionary PPO with AgileRL on pictures, over the vector environment as it is.

python examples/agilerl_ppo.py
"""

import gymnasium as gym
from agilerl.algorithms.ppo import PPO
from agilerl.training.train_on_policy import train_on_policy

NETWORK = {
    "cnn_config": {"channel_size": [16, 32], "kernel_size": [3, 3], "stride_size": [2, 2]}
}  # the default is slow on a CPU
TASK = "ssl4rl_envs:SSL4RL/Rotation-v0"


def main(steps=40_960, num_envs=64, **task):
    """Train, and return the mean reward on held-out pictures."""
    task = {"source": "digits", "image_size": 36, "angles": 4, **task}
    env = gym.make_vec(TASK, num_envs=num_envs, **task)
    held_out = gym.make_vec(TASK, num_envs=num_envs, split="test", **task)
    agent = PPO(
        env.single_observation_space,
        env.single_action_space,
        num_envs=num_envs,
        net_config={"encoder_config": NETWORK},
        batch_size=256,
        learn_step=1024,
        lr=1e-3,
    )
    population, _ = train_on_policy(env, TASK, "PPO", [agent], max_steps=steps, evo_steps=steps // 4, verbose=False)
    return population[0].test(held_out, max_steps=8)


if __name__ == "__main__":
    print(f"reward on held-out pictures: {main():.3f}; without looking it is 0.25")
