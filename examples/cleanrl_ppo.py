"""PPO in one file, in CleanRL's manner, over a vector environment of SSL4RL.

    python examples/cleanrl_ppo.py --env-id SSL4RL/Rotation-v0 --total-timesteps 60000

Everything stands in the order in which it happens. The details are those of "The 37 implementation details of PPO" (Huang et
al. 2022): orthogonal initialisation, GAE (Schulman et al. 2016), advantages normalised in each minibatch, clipped losses of
policy and value, an annealed learning rate, a clipped gradient.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

import ssl4rl_envs  # noqa: F401 (registers the environments)


@dataclass
class Args:
    """What can be set on the command line."""

    env_id: str = "SSL4RL/Rotation-v0"
    env_args: dict[str, str] = field(default_factory=lambda: {"source": "digits"})
    """arguments of the task that are words"""
    image_size: int = 36
    """width and height of pictures, in pixels"""
    angles: int = 4
    """how many angles there are to choose from"""
    seed: int = 1
    total_timesteps: int = 60_000
    learning_rate: float = 1e-3
    num_envs: int = 64
    num_steps: int = 8
    """steps of each environment between two updates"""
    gamma: float = 0.99
    gae_lambda: float = 0.95
    num_minibatches: int = 4
    update_epochs: int = 4
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    eval_episodes: int = 1_000
    """questions about pictures that were never trained on, at the end"""


def layer_init(layer: nn.Module, std: float = 2**0.5) -> nn.Module:
    """Initialise weights orthogonally and biases with zeros."""
    nn.init.orthogonal_(layer.weight, std)  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Agent(nn.Module):
    """A small convolutional network with two heads: which answer, and how much reward is expected."""

    def __init__(self, image_size: int, answers: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            layer_init(nn.Conv2d(3, 16, 5, stride=3)),
            nn.ReLU(),
            layer_init(nn.Conv2d(16, 32, 3, stride=2)),
            nn.ReLU(),
            nn.Flatten(),
        )
        width = self.body(torch.zeros(1, 3, image_size, image_size)).shape[1]
        self.hidden = nn.Sequential(layer_init(nn.Linear(width, 128)), nn.ReLU())
        self.actor, self.critic = layer_init(nn.Linear(128, answers), 0.01), layer_init(nn.Linear(128, 1), 1.0)

    def forward(self, pictures: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        """Return the distribution over answers and the values (n,) of uint8 pictures (n, height, width, 3)."""
        hidden = self.hidden(self.body(pictures.permute(0, 3, 1, 2) / 255.0))
        return Categorical(logits=self.actor(hidden)), self.critic(hidden)[:, 0]


def make(args: Args, split: str, num_envs: int) -> gym.vector.VectorEnv:
    """Make a vector environment of single pictures; an episode that ends is followed in the same step by the next one."""
    envs = gym.make_vec(
        args.env_id, num_envs=num_envs, split=split, image_size=args.image_size, angles=args.angles, **args.env_args
    )
    return gym.wrappers.vector.RecordEpisodeStatistics(envs, buffer_length=500)


def pictures(observation: dict[str, np.ndarray]) -> torch.Tensor:
    """Return the pictures of an observation, uint8 (n, height, width, 3)."""
    return torch.as_tensor(observation["image"])


class Rollout:
    """What was seen, done and paid since the last update; every field is (steps, environments, ...)."""

    def __init__(self, args: Args) -> None:
        size = (args.num_steps, args.num_envs)
        self.obs = torch.zeros((*size, args.image_size, args.image_size, 3), dtype=torch.uint8)
        self.actions = torch.zeros(size, dtype=torch.int64)
        self.logprobs, self.rewards, self.dones, self.values = torch.zeros((4, *size))


def main(args: Args) -> dict[str, float]:
    """Train and evaluate; return the success rate at the end, and that of chance."""
    torch.manual_seed(args.seed)
    envs = make(args, "train", args.num_envs)
    agent = Agent(args.image_size, int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    rollout = Rollout(args)

    shown = pictures(envs.reset(seed=args.seed)[0]), torch.zeros(args.num_envs)
    batch_size = args.num_envs * args.num_steps
    updates, start = args.total_timesteps // batch_size, time.time()
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)
        shown = play(envs, agent, rollout, *shown)
        advantages = advantages_of(rollout, agent, *shown, args)
        learn(agent, optimizer, rollout, advantages, args)
        if update % 10 == 9 or update == updates - 1:
            steps = (update + 1) * batch_size
            mean, speed = np.mean(envs.return_queue), steps / (time.time() - start)
            print(f"{steps:>8,} steps   mean return of 500 episodes {mean:.3f}   {speed:,.0f} steps/s", flush=True)
    envs.close()
    return evaluate(agent, args)


@torch.no_grad()
def play(
    envs: gym.vector.VectorEnv, agent: Agent, rollout: Rollout, next_obs: torch.Tensor, next_done: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fill the rollout from what is shown; return what is shown next, and where an episode has just ended."""
    for step in range(len(rollout.obs)):
        rollout.obs[step], rollout.dones[step] = next_obs, next_done
        policy, rollout.values[step] = agent(next_obs)
        rollout.actions[step] = policy.sample()
        rollout.logprobs[step] = policy.log_prob(rollout.actions[step])
        observation, reward, terminated, truncated, _ = envs.step(rollout.actions[step].numpy())
        rollout.rewards[step] = torch.as_tensor(reward)
        next_obs, next_done = pictures(observation), torch.as_tensor(terminated | truncated, dtype=torch.float32)
    return next_obs, next_done


@torch.no_grad()
def advantages_of(
    rollout: Rollout, agent: Agent, next_obs: torch.Tensor, next_done: torch.Tensor, args: Args
) -> torch.Tensor:
    """Return generalised advantage estimates (steps, environments); most episodes of SSL4RL are one step long."""
    advantages, last = torch.zeros_like(rollout.rewards), torch.zeros_like(next_done)
    values = torch.cat([rollout.values, agent(next_obs)[1][None]])
    going = 1 - torch.cat([rollout.dones, next_done[None]])
    for step in reversed(range(args.num_steps)):
        delta = rollout.rewards[step] + args.gamma * values[step + 1] * going[step + 1] - values[step]
        advantages[step] = last = delta + args.gamma * args.gae_lambda * going[step + 1] * last
    return advantages


def learn(agent: Agent, optimizer: torch.optim.Optimizer, rollout: Rollout, advantages: torch.Tensor, args: Args) -> None:
    """Take `update_epochs` times a step of the optimizer on each minibatch."""
    b_obs, b_actions, b_logprobs = rollout.obs.flatten(0, 1), rollout.actions.flatten(), rollout.logprobs.flatten()
    b_advantages, b_values = advantages.flatten(), rollout.values.flatten()
    b_returns = b_advantages + b_values
    for _ in range(args.update_epochs):
        for rows in torch.randperm(len(b_obs)).chunk(args.num_minibatches):
            policy, value = agent(b_obs[rows])
            ratio = (policy.log_prob(b_actions[rows]) - b_logprobs[rows]).exp()
            advantage = b_advantages[rows]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            pg_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
            near = b_values[rows] + (value - b_values[rows]).clamp(-args.clip_coef, args.clip_coef)
            v_loss = 0.5 * torch.max((value - b_returns[rows]) ** 2, (near - b_returns[rows]) ** 2).mean()
            loss = pg_loss + args.vf_coef * v_loss - args.ent_coef * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
            optimizer.step()


def evaluate(agent: Agent, args: Args) -> dict[str, float]:
    """Return the mean reward on held-out pictures, answering what is likeliest; and that of chance."""
    envs = make(args, "test", args.eval_episodes)
    observation, _ = envs.reset(seed=args.seed)
    with torch.no_grad():
        answers = agent(pictures(observation))[0].logits.argmax(dim=1)
    _, reward, *_ = envs.step(answers.numpy())
    found = {"held out": float(reward.mean()), "chance": float(envs.unwrapped.task.chance)}
    print(", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    envs.close()
    return found


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Args))
