"""What trainers drive: replies scored from rows of many environments, and episodes played from their keys."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import env_ids, make_task, rows
from ssl4rl_envs.bridges.episodes import PLAYED, Episode, episode_keys
from ssl4rl_envs.bridges.keys import keyed_rows, score_rows

SPOKEN = [env_id for env_id in env_ids() if make_task(env_id).has_text]


def test_rows_of_several_environments_are_scored_together_in_their_order():
    ids = [env_id for env_id in SPOKEN if make_task(env_id).horizon == 1]
    questions = [row for env_id in ids for row in keyed_rows(env_id, 2, seed=5)]
    order = np.random.default_rng(0).permutation(len(questions)).tolist()
    mixed = [questions[row] for row in order]
    scored = score_rows([f"<answer>{row['answer']}</answer>" for row in mixed], mixed)
    assert [each["truth"] for each in scored] == [row["answer"] for row in mixed]
    assert all(each["success"] for each in scored)


@pytest.mark.parametrize("name", ["rotation", "ssl4rl_envs.images.rotation:Rotation"])
def test_episodes_go_by_every_name_of_an_environment(name):
    (keys,) = episode_keys(name, 1, source="digits")
    assert Episode(keys).messages == Episode(episode_keys("SSL4RL/Rotation-v0", 1, source="digits")[0]).messages
    assert keys["env_id"] == (name if ":" in name else "SSL4RL/Rotation-v0")


def test_a_row_without_a_key_and_replies_without_rows_are_errors():
    (row,) = rows("SSL4RL/Rotation-v0", 1)
    reply = f"<answer>{row['answer']}</answer>"
    assert score_rows([reply], [row])[0]["reward"] == 1.0  # asked and read as rows are by default
    with pytest.raises(ValueError, match="lacks index"):
        score_rows([reply], [{**row, "index": None}])
    with pytest.raises(ValueError, match="2 replies and 1 rows"):
        score_rows([reply, reply], [row])
    assert score_rows([], []) == []


@pytest.mark.parametrize("env_id", SPOKEN)
def test_an_episode_shows_and_pays_what_the_environment_does(env_id):
    attempts = 1 if make_task(env_id).horizon > 1 else 2
    keys = episode_keys(env_id, 3, seed=9, first=4, attempts=attempts)[1]
    env = gym.make(env_id, interface="text", attempts=attempts)
    shown, _ = env.reset(seed=9, options={"index": 5})
    reply = (
        f"<answer>{env.unwrapped.task.format(env.unwrapped.task.example())}</answer>" if env_id != MIXTURE else "no answer"
    )
    episode = Episode({**keys, "else": "not looked at"})
    assert set(keys) == set(PLAYED)
    ended = False
    while not ended:
        said = episode.messages[0]["content"]
        assert (said if isinstance(said, str) else said[-1]["text"]) == shown["prompt"]
        shown, reward, terminated, truncated, info = env.step(reply)
        ended = terminated or truncated
        assert episode.answer(reply) == reward
        assert (episode.success, episode.valid, episode.ended) == (info["success"], info["valid"], ended)
    assert episode.messages == []
    assert len(episode.rewards) <= episode.horizon
    with pytest.raises(RuntimeError, match="no question is open"):
        episode.answer(reply)


MIXTURE = "SSL4RL/Mixture-v0"


def test_pictures_are_sent_again_only_where_they_changed():
    keys = {"source": "faces", "image_size": 36}
    wrong = Episode(episode_keys("SSL4RL/Rotation-v0", 1, attempts=2, **keys)[0])
    assert [part["type"] for part in wrong.messages[0]["content"]] == ["image", "text"]
    wrong.answer("no answer")
    assert wrong.messages[0]["content"].endswith("Your reply was no valid answer. Try again; you have 1 try left.")
    swapped = Episode(episode_keys("SSL4RL/PatchSwap-v0", 1, level="2x2", **keys)[0], "openai")
    swapped.answer("<answer>1, 2</answer>")
    assert [part["type"] for part in swapped.messages[0]["content"]] == ["image_url", "text"]


def test_wrong_arguments_are_errors_before_anything_is_asked():
    with pytest.raises(TypeError, match="colour"):
        episode_keys("SSL4RL/Rotation-v0", 2, colour=1)
    with pytest.raises(ValueError, match="JSON"):
        episode_keys("SSL4RL/Rotation-v0", 2, source=np.zeros((4, 40, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="prompt_style"):
        episode_keys("SSL4RL/Rotation-v0", 2, prompt_style="loud")
