"""SkyRL-gym's registry makes the example's environment, and it pays what the suite's own pays."""

from __future__ import annotations

import pytest

pytest.importorskip("skyrl_gym")

import skyrl_gym

from ssl4rl_envs import score
from tests.clients.partner import example

GRAPH = "SSL4RL/NodeAttribute-v0"


@pytest.fixture(scope="module")
def module():
    found = example("skyrl_env")
    found.register()
    found.register()  # a second time changes nothing
    return found


def make(module, row):
    """As SkyRL's generator does: everything but the prompt and the class is `extras`."""
    extras = {name: value for name, value in row.items() if name not in ("prompt", "env_class")}
    return skyrl_gym.make(row["env_class"], env_config={}, extras=extras)


def test_replies_are_paid_as_elsewhere(module):
    for row in module.data(GRAPH, 4, seed=2):
        env = make(module, row)
        prompt, _ = env.init(row["prompt"])
        assert prompt == row["prompt"]
        scored = score(GRAPH, "<answer>B</answer>", seed=2, index=row["extra_info"]["index"])[0]
        told = env.step("<answer>B</answer>")
        assert (told["observations"], told["done"]) == ([], True)
        assert told["reward"] == scored["reward"]
        assert told["metadata"]["truth"] == scored["truth"]
        assert env.get_metrics() == {"success": float(scored["success"]), "turns": 1}
        assert scored["truth"] not in str({name: row[name] for name in ("reward_spec", "extra_info")}).replace(GRAPH, "")


def test_another_try_is_a_turn(module):
    (row,) = module.data(GRAPH, 1, attempts=3)
    env = make(module, row)
    truth = score(GRAPH, "", index=0)[0]["truth"]
    wrong = next(label for label in "ABCDE" if label != truth)
    first = env.step(f"<answer>{wrong}</answer>")
    assert (first["reward"], first["done"]) == (0.0, False)
    (said,) = first["observations"]
    assert said["role"] == "user"
    assert f"Your answer {wrong} was not right." in said["content"]
    second = env.step(f"<answer>{truth}</answer>")
    assert (second["reward"], second["done"], second["observations"]) == (1.0, True, [])
    metrics = type(env).aggregate_metrics([env.get_metrics(), {"success": 0.0, "turns": 3}])
    assert metrics["success"] == 0.5


def test_pictures_are_refused_in_words(module):
    with pytest.raises(ValueError, match="shows pictures"):
        next(module.data("SSL4RL/Rotation-v0", 1, source="digits"))
