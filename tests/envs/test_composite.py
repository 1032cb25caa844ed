"""A task made of tasks loses nothing of what a task inside it says and does."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from ssl4rl_envs import Stream, Task, make_task, rendering
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.composite import Composite
from ssl4rl_envs.covered import Covered
from ssl4rl_envs.images.flip_prediction import FlipPrediction
from ssl4rl_envs.images.mixture import Mixture
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.mixture import Parts

OF_THE_CLASS = {"levels", "legitimate", "sources"}
"""What describes a class; of `legitimate` a composite passes on what `reason_for` says."""

MADE_OF_OTHERS = {"sample", "score_texts", "offered"}
"""What `Task` makes of methods that are passed on."""

WHOLE = {"compact", "complete", "completer"}
"""What a composite lays out is whole from the beginning, so it leaves these as `Task` has them."""

ITS_OWN = {"make", "advance", "chance", "stream_key"}
"""What makes a composite another task; each class says it itself."""

HIDDEN_UNDER_COVER = {"no_answer", "pictures", "reason_for", "choices"}
"""What `Covered` must not ask: its actions are others, and its pictures show less."""

SURFACE = {name for name, _ in inspect.getmembers_static(Task) if not name.startswith("_")} - {"horizon"}
WITHOUT_BATCH = {"read", "format", "parse", "example", "valid"}
COMPOSITES = (Attempts, Covered, Parts)


def test_everything_of_a_task_is_passed_on_or_named_here():
    assert {
        name for name in vars(Composite) if not name.startswith("_")
    } >= SURFACE - OF_THE_CLASS - MADE_OF_OTHERS - WHOLE - ITS_OWN
    assert SURFACE >= OF_THE_CLASS | MADE_OF_OTHERS | WHOLE | ITS_OWN, "a name above is no longer one of a task"


@pytest.mark.parametrize("cls", COMPOSITES)
def test_what_makes_it_another_task_each_composite_says_itself(cls):
    assert set(vars(cls)) >= ITS_OWN


def test_these_are_all_composites():
    """A new one must be put to the tests below."""
    assert set(Composite.__subclasses__()) == set(COMPOSITES)
    assert issubclass(Mixture, Parts)


@pytest.fixture
def calls(monkeypatch):
    """Names of the methods of `Rotation` that were called, whatever class of its defines them."""
    called = set()

    def note(name, method):
        def noted(self, *args, **kwargs):
            called.add(name)
            return method(self, *args, **kwargs)

        return noted

    for name in SURFACE:
        found = inspect.getattr_static(Rotation, name)
        if inspect.isfunction(found):
            monkeypatch.setattr(Rotation, name, note(name, found))
        elif isinstance(found, property):
            monkeypatch.setattr(Rotation, name, property(note(name, found.fget)))
    return called


def _arguments(task: Task, stream: Stream) -> dict[str, tuple]:
    batch = task.sample(stream)
    answers = task.oracle(batch)
    words = ["<answer>90</answer>"] * len(batch)
    return {
        "paired": ("a word",),
        "sample": (stream,),
        "make": (stream,),
        "sample_parts": (stream, np.zeros(len(stream), np.int64)),
        "score": (answers, batch),
        "advance": (batch, answers),
        "reason_for": ("spectrum",),
        "random_answers": (batch, stream),
        "valid": (answers,),
        "pictures": (batch, 0),
        "illustrate": (answers[0], batch, 0),
        "prompts": (batch,),
        "read": ("90",),
        "format": (answers[0],),
        "parse": (words[0],),
        "parse_all": (words, batch, "direct"),
        "format_all": (answers, batch),
        "score_texts": (words, batch),
        **dict.fromkeys(("question", "caption", "oracle", "demonstrate", "rationale", "truths", "info"), (batch,)),
        **dict.fromkeys(("offered", "choices"), (batch,)),
    }


@pytest.mark.parametrize("name", sorted(SURFACE - OF_THE_CLASS - WHOLE - {"chance"}))
@pytest.mark.parametrize("kind", ["attempts", "covered", "one part", "two parts"])
def test_the_task_inside_is_asked(kind, name, calls):
    inner = Rotation("digits", 36)
    if kind == "covered" and name in HIDDEN_UNDER_COVER:
        pytest.skip("the task inside would tell what is covered")
    makers = {
        "attempts": lambda: Attempts(inner, 2),
        "covered": lambda: Covered(inner, 3, 4, 0.1),
        "one part": lambda: Parts([inner]),
        "two parts": lambda: Parts([inner, FlipPrediction("digits", 36, reference=False)], [1, 1e-9]),
    }
    task = makers[kind]()
    arguments = _arguments(task, Stream.span("train", 0, 0, 3))
    calls.clear()
    value = inspect.getattr_static(task, name)
    if isinstance(value, property):
        getattr(task, name)
    elif kind == "two parts" and name in WITHOUT_BATCH - {"valid", "example"}:
        with pytest.raises(ValueError, match="parse_all"):
            getattr(task, name)(*arguments[name])
        return
    elif kind in ("attempts", "covered") and name == "sample_parts":
        with pytest.raises(TypeError, match="no mixture"):
            task.sample_parts(*arguments[name])
    else:
        getattr(task, name)(*arguments.get(name, ()))
    if kind in ("attempts", "covered") or name not in {"valid", "example", "no_answer", "parts", "blind_answers"}:
        made_of = {"sample_parts": {"sample", "sample_parts"}, "sample": {"sample", "make"}, "advance": {"advance", "score"}}
        made_of |= {"score_texts": {"parse_all"}, "offered": {"info"}, "make": {"sample", "make"}}
        assert calls & made_of.get(name, {name}), f"{type(task).__name__}.{name} does not ask the task inside"


@pytest.mark.parametrize("name", ["EdgePrediction", "MaskedFeatures"])
def test_the_card_of_a_graph_is_as_high_under_attempts(name):
    """It shows the graph in a picture and the question below it, not all nodes and edges in words."""
    task = make_task(f"SSL4RL/{name}-v0", source="cora")
    alone, tried = (rendering.canvas_for(each, "train") for each in (task, Attempts(task, 3)))
    assert alone == tried
    batch = Attempts(task, 3).sample(Stream.span("train", 0, 0, 4))
    assert Attempts(task, 3).caption(batch) == task.caption(batch)


def test_attempts_give_the_reasons_of_the_task_inside():
    assert Attempts(Rotation("digits", 36), 2).reason_for("spectrum") == Rotation.legitimate["spectrum"]
    assert Attempts(Rotation("digits", 36), 2).reason_for("matcher") is None


def test_what_is_laid_out_by_a_composite_is_whole():
    """Over a graph too, whose tasks lay their questions out without features."""
    task = Attempts(make_task("SSL4RL/EdgePrediction-v0", source="karate"), 2)
    stream = Stream.span("train", 0, 0, 3)
    batch, compact = task.sample(stream), task.complete(task.compact(stream))
    assert set(compact.observation) == set(batch.observation) >= {"x"}
    assert all(np.array_equal(values, compact.observation[name]) for name, values in batch.observation.items())
