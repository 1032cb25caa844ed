"""SceneQA: questions in words about what a drawn scene shows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import YES_OR_NO, AnswerFormat
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.drafts import until_fitting
from ssl4rl_envs.images.base import ImageTask, one_of
from ssl4rl_envs.images.scene_reasons import reasons
from ssl4rl_envs.images.scene_truth import NONE, truths
from ssl4rl_envs.images.scene_words import (
    ANSWERS,
    COMPARISON,
    MOST_WORDINGS,
    NOBODY,
    ONE_PICTURE,
    QUESTION_KINDS,
    favours,
    put,
    words_of,
)
from ssl4rl_envs.kinds import HABIT, checked_bias, some_of
from ssl4rl_envs.sources import ImageSourceLike, PictureSource
from ssl4rl_envs.sources.named import SourceTable
from ssl4rl_envs.sources.scene_facts import Facts, facts_of
from ssl4rl_envs.sources.scenes import Scenes, scenes
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

SCENES: SourceTable[PictureSource] = SourceTable("source of SceneQA", {"scenes": scenes})
"""What can be asked about: pictures whose drawer knows what they show."""

MIN_SIDE = 32

HOW_BUSY = (2, 5)
"""Where it is asked whether something is there, so many things are drawn beforehand, from the first on and below the second:
pictures that show it would show more things than others otherwise."""

_EXISTENCE = QUESTION_KINDS.index("existence")

REDRAWS, AT_ONCE, AHEAD = 6_000, 2_048, 8
"""After how many pictures none is looked for any more (the rarest is one in 150), how many are looked at together, and how
many of one question at first."""

Draft = tuple[NDArray[np.int64], NDArray[np.int64]]
"""What is asked, (n, 6), and which scenes are shown, (n, pictures)."""


class SceneQA(ImageTask[Draft]):
    """What does a drawn scene show?

    ## Description
    Questions in words about drawn scenes, each with two answers to choose from: is there a house, how many trees, what colour
    is the boat, where is the kite seen from the tower, which is larger or nearer, from which side does the light come, what
    time is it, what covers the ground. With `kinds="comparison"` two scenes are shown, and asked is in which of them it is
    night, say, or in which there are more things. First the words are drawn (what is asked, the two answers and their order,
    the wording), then which of the two answers is right, and then scenes until one fits both; words and right answer are
    never given up for others. So who reads the words alone earns chance. Asked is only what nobody would answer otherwise:
    colours by daylight, things that are seen and hardly hidden, clear differences.
    With `bias` above 0.5 one of the two answers to each question is the one of habit, always the same however the question is
    put, and it is right in that share of the questions: this is to learn bad habits from, or to unlearn them.
    After Antol et al., "VQA: visual question answering", 2015; Goyal et al., "Making the V in VQA matter", 2017, for the
    balance; Johnson et al., "CLEVR", 2017, for questions about what the drawer knows.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), or, where two are compared, `image_1` and `image_2`; and
    `asked`, int64 (6,): kind of the question, its two arguments (-1 where it has none), the two answers in the order in which
    the prompt offers them, and the wording. The text interface adds `prompt`.

    ## Action Space
    `Discrete(36)`: all words there are to answer with, the same for all kinds. `info["action_mask"]` is 1 for the two that a
    question offers. In text the word.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/2, or `bias` where that is more.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: "scenes".
    - `image_size`: side of a picture in pixels, 32 or more.
    - `kinds`: "all" that ask about one picture, or some of them: "existence", "count", "colour", "position", "size", "depth",
      "light", "sky", "ground", joined by "+"; or "comparison", of two pictures.
    - `wording`: "several" ways to put a question, or the "plain" one.
    - `bias`: how often the answer of habit is right, 0.5 to 0.95.

    ## Registered Configurations
    - `SSL4RL/SceneQA-v0`
    """

    asks = "what a drawn scene shows"
    sources = SCENES
    levels = tuple(Level(kind, {"kinds": kind}) for kind in QUESTION_KINDS)

    legitimate: ClassVar = {
        "file size": "It sees how much detail parts of the picture have: a night sky has stars, a ground of snow few marks. "
        "Sky and ground are what is asked about.",
        "border rows": "They see the colours of sky and ground at the edges, which is what is asked about.",
        "spectrum": "It sees how bright the picture is and how that varies from top to bottom, which tells night and snow.",
        "mean colour": "It sees the colours of the whole picture, most of them of sky and ground, some of a large thing.",
        "residuals": "It sees how smooth the picture is: stars, marks on the ground, and how many things there are.",
        "extremes": "It sees the brightest and darkest of each colour, in which a thing of that colour shows.",
        "boosted trees": "They see all that the others measure.",
    }

    _TELLING: ClassVar = {
        "count": {"file size", "spectrum", "residuals", "boosted trees"},
        "colour": {"mean colour", "extremes", "spectrum", "boosted trees"},
        "sky": set(legitimate),
        "ground": set(legitimate),
        COMPARISON: set(legitimate),
    }
    """Of which kinds of questions which solvers of an audit may find what is asked."""

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 64,
        kinds: str = "all",
        wording: str = "several",
        bias: float = 0.5,
    ) -> None:
        self.bias = self.chance = checked_bias(bias)
        self.wording = one_of("wording", wording, ("several", "plain"))
        self.kinds = kinds_of(kinds)
        compared = self.kinds == (COMPARISON,)
        drawer = SCENES.load(source) if isinstance(source, str) else source
        if not isinstance(drawer, Scenes):
            raise ValueError(
                f"SceneQA asks what the drawer of a scene knows, so source must be 'scenes', got {briefly(drawer)}"
            )
        super().__init__(drawer, image_size, ("image_1", "image_2") if compared else ("image",), "other than asked for")
        if image_size < MIN_SIDE:
            raise ValueError(f"image_size must be at least {MIN_SIDE} pixels, so that things are seen, got {image_size}")
        most = max(len(ANSWERS), MOST_WORDINGS)
        self.observation_space["asked"] = spaces.Box(NOBODY, most - 1, (6,), np.int64)
        tables = [words_of(kind) for kind in self.kinds]
        self._counts = np.array([len(table) for table in tables])
        self._words, self._habits = np.concatenate(tables), favours(np.concatenate(tables))
        self.action_space = spaces.Discrete(len(ANSWERS))
        self.answer_format = AnswerFormat(ANSWERS, synonyms=YES_OR_NO)

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a solver may beat chance: where some question asks about the colours of a part of the picture."""
        told = any(shortcut in self._TELLING.get(kind, ()) for kind in self.kinds)
        return super().reason_for(shortcut) if told else None

    def draft(self, stream: Stream) -> Draft:
        """Draw words, and scenes without regard to them."""
        return self._ask(stream)[0], self._draw_items(stream)

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return of which scenes one of the two answers is right beyond doubt."""
        asked, items = draft
        return np.asarray(truths(asked, *_facts(items)) != NONE, np.bool_)

    def make(self, stream: Stream) -> Batch:
        """Make one instance a row; observation and target as the class's text says."""
        asked, habit = self._ask(stream)
        other = asked[:, 3] + asked[:, 4] - habit
        target, busy = np.where(stream.uniform() < self.bias, habit, other), stream.integers(*HOW_BUSY)

        def attempt(stream: Stream, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
            items = self._draw_items(stream)
            facts = _facts(items)
            as_busy = (asked[rows, 0] != _EXISTENCE) | (facts[0].count() == busy[rows])
            return items, as_busy & (truths(asked[rows], *facts) == target[rows])

        items = until_fitting(stream.branch("scenes"), attempt, "SceneQA", redraws=REDRAWS, at_once=AT_ONCE, ahead=AHEAD)
        pictures = {
            name: self.source.pixels(self.source.whole(items[:, place]), self.image_size)
            for place, name in enumerate(self.images)
        }
        memory = {"kind": asked[:, 0].copy(), HABIT: habit, "scenes": items}
        return Batch({**pictures, "asked": asked}, target, items[:, 0].copy(), memory)

    def score(self, answers: NDArray[np.int64], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    @property
    def most_offered(self) -> int:
        """Two: every question names both of its answers."""
        return 2

    def info(self, batch: Batch) -> dict[str, NDArray[np.int64] | NDArray[np.int8]]:
        """Return `action_mask`, (n, 36) int8, and `kind`, (n,) positions in QUESTION_KINDS."""
        asked = batch.observation["asked"]
        mask = np.zeros((len(asked), len(ANSWERS)), np.int8)
        np.put_along_axis(mask, asked[:, 3:5], 1, axis=1)
        return {"action_mask": mask, "kind": asked[:, 0].copy()}

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        return put(batch.observation["asked"])

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 0

    def rationale(self, batch: Batch) -> list[str]:
        """Say what the drawer of n questions knows of what is asked, (n,)."""
        return reasons(batch.observation["asked"], batch.target, *_facts(batch.memory["scenes"]))

    def _ask(self, stream: Stream) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw what is asked, (n, 6), and which answer is the one of habit, (n,)."""
        kind, several = stream.integers(0, len(self._counts)), self.wording == "several"
        row = (np.cumsum(self._counts) - self._counts)[kind] + stream.below(self._counts[kind])
        swapped, wording = stream.integers(0, 2), stream.integers(0, MOST_WORDINGS)
        words = self._words[row]
        offered = np.where(swapped[:, None] == 1, words[:, 4:2:-1], words[:, 3:5])
        asked = np.concatenate([words[:, :3], offered, (wording if several else 0 * wording)[:, None]], axis=1)
        return asked, words[np.arange(len(words)), 3 + self._habits[row]]

    def _draw_items(self, stream: Stream) -> NDArray[np.int64]:
        """Draw as many scenes a row as are shown, (n, pictures)."""
        return np.stack([self.source.draw(stream) for _ in self.images], axis=1)


def _facts(items: NDArray[np.int64]) -> list[Facts]:
    """Return what the drawer knows of the first, second, ... of the scenes that are shown, (n, pictures)."""
    return [facts_of(each) for each in items.T]


def kinds_of(kinds: str) -> tuple[str, ...]:
    """Return which kinds of question are meant, each once, in the order of `QUESTION_KINDS`.

    Raises:
        ValueError: a kind is unknown or named twice, or two pictures are to be compared beside questions about one.
    """
    named = some_of("kinds", kinds, QUESTION_KINDS, "kind of question", ONE_PICTURE)
    if COMPARISON in named and named != (COMPARISON,):
        raise ValueError(f"{COMPARISON} shows two pictures and the other kinds one, so it goes by itself, got {kinds!r}")
    return named
