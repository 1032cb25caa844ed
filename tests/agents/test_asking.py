"""A trained agent can be asked about one picture, and says what it replied and what is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.baselines import OracleAgent
from ssl4rl_agents.runs import asking
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runs.trained import Trained, read_trained
from ssl4rl_envs import SSLVectorEnv, make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import PICTURES
from tests.agents.tiny_runs import train

OF_PICTURES = [row.id for row in TABLE if task_class(row.id).sources is PICTURES]
OF_GRAPHS = [row.id for row in TABLE if issubclass(task_class(row.id), GraphTask)]


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """The most coloured of some photographs, and no square."""
    source = make_task("SSL4RL/Rotation-v0", source="photos").source
    pictures = source.pixels(source.whole(np.arange(40)), 90)
    pixels = pictures[np.ptp(pictures.astype(int), axis=3).mean(axis=(1, 2)).argmax()]
    file: Path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(pixels[:, :80]).save(file)
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("asked") / "run"
    train(folder, format_warmup=20, policy={"max_new_tokens": 8})
    return folder


def oracle(asked_env: str, **arguments: object) -> OracleAgent:
    return OracleAgent(SSLVectorEnv(make_task(asked_env, **arguments), num_envs=1))


@pytest.mark.parametrize("asked_env", OF_PICTURES)
def test_every_task_over_pictures_asks_about_a_picture_of_ones_own(asked_env, photo):
    """Who knows the answer is right, also over several decisions; the question is about this picture and reproducible."""
    trained = Trained(asked_env, {"source": "photos"})
    task, split = asking.task_about(trained, photo)
    first, second = asking.indices_about(task, split, 0, 2)
    asked = asking.ask_question(oracle(asked_env, source="photos"), trained, task, split, 0, first)
    assert asked.success
    assert asked.reward == pytest.approx(1)
    if task.horizon == 1:
        assert asked.truth == asked.answer
    assert asked.card.shape[2] == 3
    again = asking.ask_question(
        oracle(asked_env, source="photos"), trained, *asking.task_about(trained, Image.open(photo)), 0, first
    )
    assert np.array_equal(asked.card, again.card)
    assert "\n  reply" in str(asked)
    assert second > first


def test_an_agent_of_a_run_is_asked_about_whatever_a_source_may_hold(run, photo):
    agent = load_agent(run)
    assert isinstance(agent, PolicyAgent)
    pixels = np.asarray(Image.open(photo))
    asked = [agent.ask(given) for given in (photo, str(photo), pixels, Image.open(photo))]
    assert len({(one.reply, one.truth, one.index) for one in asked}) == 1
    assert asked[0].reply.startswith("<answer>")
    assert (asked[0].answer == asked[0].truth) == asked[0].success
    assert {agent.ask(photo, number=number).truth for number in range(12)} == {"0", "90", "180", "270"}
    assert agent.ask(photo, number=3).to_json()["index"] == 3


def test_what_cannot_be_asked_about_is_said(run, photo, tmp_path):
    agent = load_agent(run)
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(OSError, match=r"words\.png cannot be read as a picture"):
        agent.ask(tmp_path / "words.png")
    with pytest.raises(OSError, match=r"missing\.png cannot be read as a picture: .*No such file"):
        agent.ask(tmp_path / "missing.png")
    with pytest.raises(ValueError, match=r"Rotation.*(too little to ask|cannot ask)"):
        agent.ask(np.full((64, 64, 3), 7, np.uint8))
    with pytest.raises(RuntimeError, match="does not say where it was trained; load it from its folder"):
        PolicyAgent(agent.policy).ask(photo)


def test_what_only_a_drawer_knows_is_not_asked_about_a_picture_of_ones_own(photo):
    with pytest.raises(ValueError, match="SceneQA asks what the drawer of its pictures knows"):
        asking.task_about(Trained("SSL4RL/SceneQA-v0", {}), photo)


@pytest.mark.parametrize("asked_env", OF_GRAPHS)
def test_tasks_over_graphs_are_asked_by_node_or_by_number(asked_env, photo):
    trained = Trained(asked_env, {"source": "sbm"})
    with pytest.raises(ValueError, match="asks about a graph, and not about pictures"):
        asking.task_about(trained, photo)
    if getattr(task_class(asked_env), "role", None) != "node":
        with pytest.raises(ValueError, match="does not ask about single nodes; ask one of its questions by number"):
            asking.question_about_node(trained, 3)
        return
    task, split, index = asking.question_about_node(trained, 3)
    asked = asking.ask_question(oracle(asked_env, source="sbm"), trained, task, split, 0, index)
    assert asked.success
    assert task.sample(asking.Stream.span(split, 0, index, 1)).items[0] == 3
    with pytest.raises(ValueError, match="the graph has the nodes 0 to"):
        asking.question_about_node(trained, 10**6)


def test_what_a_folder_says_of_its_agent(run, tmp_path):
    found = read_trained(run)
    assert (found.env, found.interface, found.grammar) == ("SSL4RL/Rotation-v0", "text", "strict")
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has neither config\.json nor agent\.json"):
        read_trained(tmp_path)
    (tmp_path / "agent.json").write_text('{"env": 3}')
    with pytest.raises(ValueError, match=r"agent\.json does not say which agent was trained"):
        read_trained(tmp_path)
