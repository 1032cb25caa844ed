"""PPO with skrl on pictures, over the vector environment as it is.

python examples/skrl_ppo.py
"""

import gymnasium as gym
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from skrl.utils.model_instantiators.torch import categorical_model, deterministic_model

NETWORK = [
    {
        "name": "eyes",
        "input": "permute(OBSERVATIONS['image'] / 255, (0, 3, 1, 2))",
        "layers": [
            {"conv2d": {"out_channels": 16, "kernel_size": 3, "stride": 2, "padding": 1}},
            {"conv2d": {"out_channels": 32, "kernel_size": 3, "stride": 2, "padding": 1}},
            "flatten",
        ],
        "activations": "relu",
    }
]


def main(updates=40, num_envs=64, rollouts=16, **task):
    """Train, and return the mean reward on held-out pictures."""
    set_seed(0)
    task = {"source": "digits", "image_size": 36, "angles": 4, **task}
    env = wrap_env(gym.make_vec("ssl4rl_envs:SSL4RL/Rotation-v0", num_envs=num_envs, **task), wrapper="gymnasium")
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    models = {
        "policy": categorical_model(**spaces, network=NETWORK, output="ACTIONS"),
        "value": deterministic_model(**spaces, network=NETWORK, output="ONE"),
    }
    agent = PPO(
        models=models,
        memory=RandomMemory(memory_size=rollouts, num_envs=num_envs, device=env.device),
        cfg=PPO_CFG(rollouts=rollouts, learning_epochs=4, mini_batches=4, discount_factor=0.0),
        **spaces,
    )
    SequentialTrainer(env=env, agents=agent, cfg={"timesteps": updates * rollouts, "headless": True}).train()

    held_out = wrap_env(
        gym.make_vec("ssl4rl_envs:SSL4RL/Rotation-v0", num_envs=500, split="test", **task), wrapper="gymnasium"
    )
    observations, _ = held_out.reset()
    with torch.no_grad():
        actions, _ = agent.act(observations, None, timestep=0, timesteps=1)
    return held_out.step(actions)[1].mean().item()


if __name__ == "__main__":
    print(f"reward on held-out pictures: {main():.3f}; without looking it is 0.25")
