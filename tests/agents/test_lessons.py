"""Agents that learn: lessons count episodes, measure on the way, and every kind of learner keeps to the contract."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch

from ssl4rl_agents.agent import ENTRY_POINTS, load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.lessons import Learner, Lesson
from ssl4rl_agents.sb3_env import SB3Env
from ssl4rl_agents.settings import merged
from ssl4rl_envs import SSLVectorEnv, make_task

DIGITS = {"source": "digits", "image_size": 36}
SMALL = {"rollout": {"prompts": 8, "group_size": 2}, "optimizer": {"minibatches": 2}}
FEW = {"num_envs": 8, "n_steps": 4}
PAST = {"num_envs": 8, "learning_starts": 8, "batch_size": 8}
PAINTED = {"source": "scenes", "image_size": 36, "answer": "pixels", "patch_size": 8}
WORDS = {**SMALL, "format_warmup": 2}
CASES = {
    "sb3-ppo": ("Rotation", DIGITS, FEW),
    "sb3-a2c": ("Rotation", DIGITS, FEW),
    "sb3-trpo": ("PatchOrdering", DIGITS, FEW),
    "sb3-dqn": ("Rotation", DIGITS, PAST),
    "sb3-qrdqn": ("EdgePrediction", {"source": "karate"}, PAST),
    "sb3-sac": ("MaskedReconstruction", PAINTED, PAST),
    "sb3-maskable-ppo": ("PatchSwap", {**DIGITS, "grid": 2, "max_steps": 4}, FEW),
    "sb3-supervised": ("Rotation", DIGITS, {}),
    "nano-ppo": ("Rotation", DIGITS, WORDS),
    "nano-grpo": ("Rotation", DIGITS, WORDS),
    "nano-rloo": ("Rotation", DIGITS, WORDS),
    "nano-reinforce++": ("Rotation", DIGITS, WORDS),
    "nano-supervised": ("Rotation", DIGITS, WORDS),
    "gcn-ppo": ("EdgePrediction", {"source": "karate"}, SMALL),
    "gcn-grpo": ("EdgePrediction", {"source": "karate"}, SMALL),
    "gin-grpo": ("GraphSearch", {"source": "karate", "level": "4"}, SMALL),
    "gcn-supervised": ("EdgePrediction", {"source": "karate"}, SMALL),
    "sage-ppo": ("MaskedFeatures", {"source": "sbm:300"}, SMALL),
    "sage-supervised": ("MaskedFeatures", {"source": "sbm:300"}, SMALL),
    "gat-ppo": ("NeighborChoice", {"source": "les_miserables"}, SMALL),
    "gat-supervised": ("NeighborChoice", {"source": "les_miserables"}, SMALL),
    "gin-ppo": ("GraphDistance", {"source": "sbm:300"}, SMALL),
    "gin-supervised": ("GraphDistance", {"source": "sbm:300"}, SMALL),
}
EPISODES = 64


def taught(name: str, folder, episodes: int = EPISODES, seed: int = 0):
    env, args, settings = CASES[name]
    envs = SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=8, split="test")
    agent = load_agent(name, envs, **settings)
    if agent.interface == "text":
        envs = SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=8, split="test", interface="text")
    lesson = Lesson(f"SSL4RL/{env}-v0", args, episodes, seed, folder, measurements=2, measured_episodes=8)
    assert isinstance(agent, Learner)
    agent.learn(lesson)
    return agent, envs, lesson


def test_every_registered_learner_has_a_case(tmp_path):
    envs = SSLVectorEnv(make_task("SSL4RL/Rotation-v0", **DIGITS), num_envs=2)
    frame = {"random", "constant", "oracle", "rule"}
    ours = {entry.name for entry in entry_points(group=ENTRY_POINTS) if entry.value.startswith("ssl4rl_agents.")}
    assert frame | set(CASES) == ours
    assert not any(isinstance(load_agent(name, envs), Learner) for name in frame)


@pytest.mark.parametrize("name", CASES)
def test_learners_learn_and_then_act(name, tmp_path):
    agent, envs, lesson = taught(name, tmp_path)
    assert [point.episodes for point in lesson.curve][-1] <= EPISODES
    assert lesson.curve[-1].episodes > EPISODES * 0.7
    assert len(lesson.curve) == (1 if name == "sb3-supervised" else 2)  # which takes them all at once
    assert all(0 <= point.reward <= 1 and point.seconds >= 0 for point in lesson.curve)
    assert json.loads(json.dumps(lesson.settings))  # they go into a row
    if name.startswith("sb3") and name != "sb3-supervised":
        assert agent._model._n_updates > 0
    result = evaluate_in(agent, envs, env=lesson.env, episodes=16)
    assert 0 <= result.reward <= 1


@pytest.mark.parametrize("name", ["sb3-ppo", "sb3-dqn", "sb3-qrdqn", "sb3-sac"])
def test_learners_of_sb3_leave_nothing_among_temporary_files(name, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    taught(name, tmp_path / "lesson")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["sb3-ppo", "sb3-dqn", "nano-ppo", "gcn-ppo"])
def test_equal_seeds_learn_the_same(name, tmp_path):
    outcomes = []
    for number, seed in enumerate((3, 3, 4)):
        agent, _, _ = taught(name, tmp_path / str(number), seed=seed)
        network = agent.policy if name.startswith(("nano", "gcn")) else agent._model.policy
        outcomes.append(torch.cat([weights.flatten() for weights in network.state_dict().values()]))
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])


def test_the_supervised_network_takes_answers_that_are_numbers(tmp_path):
    envs = SSLVectorEnv(make_task("SSL4RL/MaskedReconstruction-v0", **PAINTED), num_envs=8, split="test")
    agent = load_agent("sb3-supervised", envs)
    agent.learn(Lesson("SSL4RL/MaskedReconstruction-v0", PAINTED, 64, 0, tmp_path, measurements=1, measured_episodes=8))
    assert agent.act(envs.reset(seed=0)[0]).shape == (8, *envs.single_action_space.shape)


@pytest.mark.parametrize("name", ["sb3-ppo", "nano-ppo"])
def test_agents_that_have_not_learned_say_so(name):
    env, args, settings = CASES[name]
    envs = SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=2)
    with pytest.raises(RuntimeError, match="not learned yet"):
        load_agent(name, envs, **settings).act({"image": np.zeros((1, 36, 36, 3), np.uint8)})


@pytest.mark.parametrize(
    ("name", "env", "args", "message"),
    [
        ("sb3-dqn", "PatchOrdering", DIGITS, "takes actions of Discrete"),
        ("sb3-sac", "Rotation", DIGITS, "takes actions of Box"),
        ("sb3-maskable-ppo", "Rotation", DIGITS, "does not say which actions have an effect"),
    ],
)
def test_algorithms_refuse_actions_that_they_cannot_take(name, env, args, message):
    envs = SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=2)
    with pytest.raises(ValueError, match=message):
        load_agent(name, envs)


def test_lessons_that_are_too_short_are_refused(tmp_path):
    with pytest.raises(ValueError, match="an iteration takes 16 episodes"):
        taught("nano-ppo", tmp_path, episodes=8)


def test_algorithms_learn_from_every_episode_they_play(tmp_path):
    """Of 100 episodes three rollouts of 32 fit; the fourth would not, and none is thrown away."""
    env, args, _ = CASES["sb3-ppo"]
    envs = SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=8)
    agent = load_agent("sb3-ppo", envs, num_envs=8, n_steps=4, n_epochs=1)
    lesson = Lesson(f"SSL4RL/{env}-v0", args, 100, 0, tmp_path, measurements=4, measured_episodes=8)
    agent.learn(lesson)
    assert agent._model._n_updates == 3
    assert [point.episodes for point in lesson.curve] == [32, 64, 96]


def test_ceilings_see_as_many_questions_as_others_give_answers(tmp_path):
    budgets = {}
    for name in ("nano-ppo", "nano-supervised", "gcn-ppo", "gcn-supervised"):
        env, args, _ = CASES[name]
        agent = load_agent(name, SSLVectorEnv(make_task(f"SSL4RL/{env}-v0", **args), num_envs=2))
        config = agent.configured(Lesson(f"SSL4RL/{env}-v0", args, 12_288, 0, tmp_path))
        prompts, group_size = config.resolved().rollout.sizes()
        budgets[name] = (config.iterations, prompts * group_size)
    assert set(budgets.values()) == {(48, 256)}


def test_what_the_lesson_decides_is_no_setting():
    envs = SSLVectorEnv(make_task("SSL4RL/Rotation-v0", **DIGITS), num_envs=2)
    with pytest.raises(ValueError, match="the lesson decides iterations, prompt_style"):
        load_agent("nano-ppo", envs, iterations=3, prompt_style="think")


def test_half_a_run_is_no_result(tmp_path, monkeypatch):
    from ssl4rl_agents.ppo.trainer import Trainer

    monkeypatch.setattr(Trainer, "run", lambda self, begin=None: False)
    with pytest.raises(KeyboardInterrupt):
        taught("nano-ppo", tmp_path)


def test_a_lesson_begins_once_and_measures_where_it_is_due(tmp_path):
    class Zero:
        interface = "array"

        def act(self, observations, *, deterministic=False):
            return np.zeros(len(observations["image"]), int)

    shown = []
    lesson = Lesson("SSL4RL/Rotation-v0", DIGITS, 100, 0, tmp_path, measurements=4, measured_episodes=8)
    lesson.on_begin = shown.append
    agent = Zero()
    lesson.begin(agent)
    for episodes in range(0, 101, 5):
        lesson.progress(agent, episodes)
    assert shown == [agent]
    assert [point.episodes for point in lesson.curve] == [25, 50, 75, 100]
    jump = Lesson("SSL4RL/Rotation-v0", DIGITS, 100, 0, tmp_path, measurements=4, measured_episodes=8)
    for episodes in (60, 61, 62, 80):
        jump.progress(agent, episodes)
    assert [point.episodes for point in jump.curve] == [60, 80]
    jump.progress(agent, 93)
    jump.end(agent)
    assert [point.episodes for point in jump.curve] == [60, 80, 93]
    jump.end(agent)
    lesson.end(agent)
    assert [len(jump.curve), len(lesson.curve)] == [3, 4]
    assert len(set(lesson.seeds(8))) == 8


def test_sb3_sees_what_the_environments_do():
    task = make_task("SSL4RL/PatchSwap-v0", source="digits", image_size=36, grid=2, max_steps=3)
    ours = SSLVectorEnv(task, num_envs=3)
    theirs = SB3Env(SSLVectorEnv(task, num_envs=3), seeds=[5, 6, 7])
    seen, _ = ours.reset(seed=5)
    assert np.array_equal(theirs.reset()["image"], seen["image"])
    for step in range(4):
        actions = np.array([step % 6, 1, 2])
        observations, rewards, dones, infos = theirs.step(actions)
        seen, paid, terminated, truncated, info = ours.step(actions)
        assert np.array_equal(observations["image"], seen["image"])
        assert np.array_equal(rewards, paid)
        assert np.array_equal(dones, terminated | truncated)
        assert np.array_equal(theirs.env_method("action_masks"), info["action_mask"])
        for row in np.flatnonzero(dones):
            assert np.array_equal(infos[row]["terminal_observation"]["image"], info["final_obs"][row]["image"])
            assert infos[row]["TimeLimit.truncated"] == (truncated[row] and not terminated[row])
    with pytest.raises(ValueError, match="arrays"):
        SB3Env(SSLVectorEnv(make_task("SSL4RL/Rotation-v0", **DIGITS), num_envs=2, interface="text"))


def test_nested_settings_merge():
    base = {"rollout": {"prompts": 1, "group_size": 2}, "seed": 1}
    assert merged(base, {"rollout": {"prompts": 3}}) == {"rollout": {"prompts": 3, "group_size": 2}, "seed": 1}
    assert base["rollout"]["prompts"] == 1
