"""The algorithms of stable-baselines3 and sb3-contrib as agents that learn."""

from __future__ import annotations

import copy
import importlib
import json
import warnings
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors.torch import load_model, save_model
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from ssl4rl_agents.agent import NotLearnedError
from ssl4rl_agents.lessons import Lesson
from ssl4rl_agents.policies.finite import DivergedError, unsound
from ssl4rl_agents.runs.asking import Asking
from ssl4rl_agents.runs.files import write_json
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_agents.sb3_env import SB3Env
from ssl4rl_envs import SSLVectorEnv, Stream, hash_seed
from ssl4rl_envs.arguments import checked_arguments, whole_number
from ssl4rl_envs.installing import install_line

ROLLOUT = 1024
"""Steps that algorithms which learn from what they just did take between updates, over all environments."""

NUM_ENVS = 64
BUFFER = 10_000
"""Steps that algorithms which learn from what they did before keep at most."""


MODEL, WEIGHTS = "sb3.json", "policy.safetensors"
"""What a kept agent's folder holds: the algorithm with its settings, and the weights of its policy."""

DECIDED = ("policy", "env", "seed", "device", "_init_setup_model")
"""Arguments of the algorithms that follow from the environments and the lesson."""


class _Progress(BaseCallback):
    """Counts episodes, tells the lesson after updates, and stops after the update that follows the last one."""

    def __init__(self, agent: SB3Agent, lesson: Lesson) -> None:
        super().__init__()
        self._agent, self._lesson = agent, lesson
        self.episodes = self._before = 0

    def _on_step(self) -> bool:
        self.episodes += int(np.sum(self.locals["dones"]))
        return True

    def _on_rollout_start(self) -> None:
        self._before = self.episodes
        self.tell()

    def _on_rollout_end(self) -> None:
        # One-step episodes are as many in every rollout; the next one must fit.
        more = self.episodes - self._before if self._agent.one_step else 1
        if self.episodes + more > self._lesson.episodes:
            # Returning False from a step would lose the rollout that it belongs to; so SB3 takes its steps to be used up.
            self.model.num_timesteps = max(self.model.num_timesteps, self.model._total_timesteps)

    def tell(self) -> None:
        """Tell the lesson how many episodes were played."""
        self._lesson.progress(self._agent, self.episodes)


class SB3Agent(Asking):
    """An algorithm of stable-baselines3 or sb3-contrib, with its own network over dictionaries of arrays.

    Args:
        envs: the environments it will act in.
        settings: keyword arguments of the algorithm, beside those of `settings`.

    Raises:
        ImportError: sb3-contrib is not installed.
        TypeError: the algorithm has no such setting, or one is of another type.
        ValueError: the algorithm does not take the environment's actions, or a setting is not finite.
    """

    interface = "array"
    algorithm: ClassVar[str] = "stable_baselines3:PPO"
    settings: ClassVar[dict[str, Any]] = {}
    num_envs: ClassVar[int] = NUM_ENVS
    actions: ClassVar[tuple[type[spaces.Space[Any]], ...]] = (
        spaces.Discrete,
        spaces.MultiDiscrete,
        spaces.MultiBinary,
        spaces.Box,
    )

    def __init__(self, envs: SSLVectorEnv, **settings: Any) -> None:
        space = envs.single_action_space
        if not isinstance(space, self.actions):
            taken = ", ".join(kind.__name__ for kind in self.actions)
            raise ValueError(f"{type(self).__name__} takes actions of {taken}, not {space}")
        self._settings = self.check_settings(settings)
        self._count = self._settings.pop("num_envs")
        self._model: BaseAlgorithm | None = None
        self._envs = envs.unwrapped
        self._learned: dict[str, Any] = {}

    @classmethod
    def check_settings(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return all settings, with `num_envs`, as the algorithm's signature has them; raises as the constructor does."""
        given = {**cls.settings, **settings}
        count = whole_number("num_envs", given.pop("num_envs", cls.num_envs), 1)
        decided = sorted(set(given) & set(DECIDED))
        if decided:
            raise ValueError(f"the lesson decides {', '.join(decided)} of {cls.algorithm}; leave that out")
        return {"num_envs": count, **checked_arguments(cls.algorithm, cls._load(), given, ["num_envs"])}

    @classmethod
    def _load(cls) -> type[BaseAlgorithm]:
        module, _, name = cls.algorithm.partition(":")
        try:
            found: type[BaseAlgorithm] = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ImportError(f"{name} needs {module.replace('_', '-')}: {install_line('bench')}") from error
        return found

    @property
    def one_step(self) -> bool:
        """Whether an episode is one decision."""
        return self._envs.task.horizon == 1

    def learn(self, lesson: Lesson) -> None:
        """Play and learn until the lesson's episodes are over."""
        envs = lesson.make_envs(min(self._count, lesson.episodes))
        self._model = self._build(SB3Env(envs, lesson.seeds(envs.num_envs)), lesson)
        lesson.begin(self)
        counting = _Progress(self, lesson)
        # One-step episodes end the run by their number; of longer ones there are at most as many steps as this.
        self._model.learn(lesson.episodes * envs.task.horizon, callback=counting)
        self._require_finite()
        counting.tell()

    def _require_finite(self) -> None:
        """Check what was learned.

        Raises:
            DivergedError: a weight is not finite.
        """
        assert self._model is not None
        wrong = unsound(self._model.policy.state_dict().items())
        if wrong is not None:
            raise DivergedError(
                f"{self.algorithm} has ended with numbers in {wrong} that are not finite; try a smaller learning_rate"
            )

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> NDArray[Any]:
        """Answer as was learned.

        Raises:
            NotLearnedError: nothing was learned yet.
        """
        _ = self.model
        return self._choose(observations, deterministic=deterministic)

    def _choose(self, observations: dict[str, Any], *, deterministic: bool) -> NDArray[Any]:
        assert self._model is not None
        return self._model.predict(observations, deterministic=deterministic)[0]

    @property
    def model(self) -> BaseAlgorithm:
        """The model of stable-baselines3, with all that this library does with one.

        Raises:
            NotLearnedError: nothing was learned yet.
        """
        if self._model is None:
            raise NotLearnedError
        return self._model

    def save(self, folder: Path) -> None:
        """Write what acts: the weights of the policy, and how it is built; nothing is pickled, and no optimizer kept.

        Raises:
            ValueError: a setting is nothing that JSON can keep.
        """
        try:
            json.dumps(self._learned)
        except TypeError as error:
            raise ValueError(
                f"settings of a kept agent are written as JSON, and these hold something else: {error}"
            ) from error
        write_json(folder / MODEL, self._learned)
        save_model(self.model.policy, str(folder / WEIGHTS))

    def load(self, folder: Path) -> None:
        """Take in what `save` wrote.

        Raises:
            ValueError: it is of another algorithm, or its weights do not fit these environments.
        """
        learned = json.loads((folder / MODEL).read_text())
        if learned.pop("algorithm", None) != self.algorithm:
            raise ValueError(f"{folder / MODEL} is of another algorithm than {self.algorithm}")
        count = learned.pop("num_envs")
        envs = SSLVectorEnv(self._envs.task, num_envs=count)
        small = {"buffer_size": count} if "buffer_size" in learned else {}  # nothing more is learned
        self._model = self._make(SB3Env(envs), 0, "auto", {**learned, **small})
        missing, unexpected = load_model(self._model.policy, str(folder / WEIGHTS), strict=False)
        if missing or unexpected:
            differing = ", ".join(sorted([*missing, *unexpected])[:5])
            raise ValueError(f"the weights in {folder / WEIGHTS} do not fit {self.algorithm}: {differing}")
        self._learned = {"algorithm": self.algorithm, "num_envs": count, **learned}

    def _build(self, env: SB3Env, lesson: Lesson) -> BaseAlgorithm:
        settings = self._fitting(env, lesson)
        lesson.settings = self._learned = {"algorithm": self.algorithm, "num_envs": env.num_envs, **settings}
        return self._make(env, hash_seed(lesson.seed, "network") % 2**31, lesson.device, settings)

    def _make(self, env: SB3Env, seed: int, device_name: str, settings: dict[str, Any]) -> BaseAlgorithm:
        kept, device = copy.deepcopy(settings), find_device(device_name)  # some algorithms write into their settings
        with warnings.catch_warnings():  # that the last minibatch of a rollout is smaller; nothing is wrong with that
            warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
            built: BaseAlgorithm = self._load()("MultiInputPolicy", env, seed=seed, device=device, **kept)
        if not (built.verbose or built.tensorboard_log):
            # The logger it would make for itself leaves an empty folder among the machine's temporary files.
            built.set_logger(Logger(folder=None, output_formats=[]))
        return built

    def _fitting(self, env: SB3Env, lesson: Lesson) -> dict[str, Any]:
        """Return the settings; one-step episodes fill whole rollouts, of `ROLLOUT` steps or a few less."""
        rollouts = -(-lesson.episodes // ROLLOUT)
        return {"n_steps": max(1, lesson.episodes // rollouts // env.num_envs), **self._settings}


class PPO(SB3Agent):
    """PPO (Schulman et al. 2017)."""

    algorithm = "stable_baselines3:PPO"
    settings: ClassVar = {"batch_size": 256, "n_epochs": 4, "ent_coef": 0.01}


class A2C(SB3Agent):
    """A2C (Mnih et al. 2016)."""

    algorithm = "stable_baselines3:A2C"
    settings: ClassVar = {"n_steps": 5}


class TRPO(SB3Agent):
    """TRPO (Schulman et al. 2015), of sb3-contrib."""

    algorithm = "sb3_contrib:TRPO"
    settings: ClassVar = {"batch_size": 256, "n_critic_updates": 5, "cg_max_steps": 5}


class _OffPolicy(SB3Agent):
    num_envs = 16

    def _fitting(self, env: SB3Env, lesson: Lesson) -> dict[str, Any]:
        kept = min(BUFFER, lesson.episodes * self._envs.task.horizon)
        begun = min(1_000, lesson.episodes // 10)
        return {
            "buffer_size": max(kept, env.num_envs),
            "learning_starts": begun,
            "train_freq": 4,
            "gradient_steps": 4,
            "batch_size": 128,
            **self._settings,
        }


class DQN(_OffPolicy):
    """DQN (Mnih et al. 2015)."""

    algorithm = "stable_baselines3:DQN"
    actions = (spaces.Discrete,)
    settings: ClassVar = {"target_update_interval": 500, "learning_rate": 3e-4}


class QRDQN(_OffPolicy):
    """QR-DQN (Dabney et al. 2018), of sb3-contrib."""

    algorithm = "sb3_contrib:QRDQN"
    actions = (spaces.Discrete,)
    settings: ClassVar = {
        "target_update_interval": 500,
        "learning_rate": 3e-4,
        "policy_kwargs": {"n_quantiles": 25},
    }


class SAC(_OffPolicy):
    """SAC (Haarnoja et al. 2018), for answers that are numbers."""

    algorithm = "stable_baselines3:SAC"
    actions = (spaces.Box,)


class MaskablePPO(PPO):
    """PPO over the actions that have an effect (Huang & Ontañón 2022), of sb3-contrib; for tasks that say which these are."""

    algorithm = "sb3_contrib:MaskablePPO"
    actions = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

    def __init__(self, envs: SSLVectorEnv, **settings: Any) -> None:
        super().__init__(envs, **settings)
        task = self._envs.task
        if "action_mask" not in task.info(task.sample(Stream("train", [0], [0]))):
            raise ValueError(f"{type(task).__name__} does not say which actions have an effect; use sb3-ppo")

    def _choose(self, observations: dict[str, Any], *, deterministic: bool) -> NDArray[Any]:
        assert self._model is not None
        masks = self._envs.task.info(self._envs.batch)["action_mask"]
        found = cast("Any", self._model).predict(observations, action_masks=masks, deterministic=deterministic)
        return np.asarray(found[0])

    def enter(self, envs: SSLVectorEnv) -> None:
        """Take the masks from these environments from now on."""
        self._envs = envs.unwrapped


class Supervised(PPO):
    """The supervised ceiling of SB3's network: PPO's actor trained on the right answers by cross-entropy."""

    epochs: ClassVar[int] = 4

    def learn(self, lesson: Lesson) -> None:
        """See each question once with its answer, in batches as PPO does its rollouts."""
        envs = lesson.make_envs(min(ROLLOUT, lesson.episodes))
        if envs.task.horizon > 1:
            raise ValueError(f"{lesson.env} takes several decisions, and there is one right answer to each question only")
        self._model = self._build(SB3Env(lesson.make_envs(1)), lesson)
        lesson.begin(self)
        policy = cast("ActorCriticPolicy", self._model.policy)
        observations, _ = envs.reset(seed=cast("Any", lesson.seeds(envs.num_envs)))
        order = np.random.default_rng(hash_seed(lesson.seed, "order"))
        seen = 0
        while seen < lesson.episodes:
            answers = envs.task.oracle(envs.batch)
            left = lesson.episodes - seen
            self._fit(policy, {name: values[:left] for name, values in observations.items()}, answers[:left], order)
            seen += len(answers[:left])
            lesson.progress(self, seen)
            observations, *_ = envs.step(answers)
        self._require_finite()

    def _fit(
        self, policy: ActorCriticPolicy, observations: dict[str, Any], answers: NDArray[Any], order: np.random.Generator
    ) -> None:
        size = int(self._settings["batch_size"])
        policy.set_training_mode(True)
        for _ in range(self.epochs):
            shuffled = order.permutation(len(answers))
            for start in range(0, len(answers), size):
                rows = shuffled[start : start + size]
                shown, _ = policy.obs_to_tensor({name: values[rows] for name, values in observations.items()})
                wanted = torch.as_tensor(answers[rows], device=policy.device)
                if answers.dtype.kind == "f":  # SB3's Gaussians are flat, whatever the shape of the space
                    wanted = wanted.flatten(1)
                loss = -policy.get_distribution(shown).log_prob(wanted).mean()
                policy.optimizer.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                policy.optimizer.step()
        policy.set_training_mode(False)
