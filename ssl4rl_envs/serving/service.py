"""The service: what is done about each message of a client, whatever wire it came by."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.serving.episodes import Episodes, Question, Result, Said
from ssl4rl_envs.serving.refusals import RefusedError
from ssl4rl_envs.serving.sessions import Sessions
from ssl4rl_envs.serving.together import Together
from ssl4rl_envs.speech import MAX_REPLY

MAX_NUMBER = (1 << 63) - 1
"""Largest seed or index of a client."""

MAX_EPISODE_ID = 255

Data = Mapping[str, Any]

_log = logging.getLogger(__name__)

Heard = Callable[[Question, str], None]
"""Is told a question and the reply in words that ended it."""

_RESET = ("seed", "index", "size", "episode_id")
_STEP = ("reply", "action", "replies", "actions", "metadata")


@dataclass
class Player:
    """What is kept of a session: the questions being asked, a batch of them or one, and no pictures."""

    batched: bool
    questions: list[Question]
    episode_id: str | None = None
    steps: int = 0
    asked: bool = False
    busy: bool = field(default=False, repr=False)

    @property
    def state(self) -> dict[str, Any]:
        """Plain data, as OpenEnv's `state` shows it."""
        first = self.questions[0]
        return {
            "episode_id": self.episode_id,
            "step_count": self.steps,
            "size": len(self.questions) if self.batched else None,
            "seed": first.seed,
            "index": first.index,
            "done": self.asked and all(question.ended for question in self.questions),
        }


class Service:
    """Plays the episodes of many clients at once.

    A session is opened with one question, or with `size` of them, which is a vector environment: question i has seed s + i,
    and all are asked and answered by one message.

    Args:
        episodes: asks and scores.
        limit: how many questions may be asked at a time, over all sessions.
        timeout: seconds after which a session that is not used is over.
        clock: tells the time, in seconds.
        heard: is told what was replied.
    """

    def __init__(
        self,
        episodes: Episodes,
        limit: int,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        heard: Heard | None = None,
    ) -> None:
        self.episodes, self._heard = episodes, heard
        self.sessions: Sessions[Player] = Sessions(limit, timeout, clock)
        self._play: Together[tuple[list[Question], list[Said] | None], list[Result]] = Together(self._played)

    def open(self, data: Data) -> str:
        """Begin a session for a reset that is to follow with the same data, and return its id.

        Raises:
            RefusedError: the server is full, or the size is no whole number from 1 on.
        """
        size = data.get("size")
        count = 1 if size is None else _number("size", size, 1, self.sessions.limit)
        seed = secrets.randbits(62)
        return self.sessions.open(Player(size is not None, [Question(seed + i, 0) for i in range(count)]), count)

    async def begin(self, data: Data) -> tuple[str, dict[str, Any]]:
        """Open a session and reset it; return its id and what is asked. Where that fails, nothing is left.

        Raises:
            RefusedError: as `open` and `reset`.
        """
        session = self.open(data)
        try:
            return session, await self.reset(session, data)
        except BaseException:
            self.sessions.close(session)
            raise

    async def reset(self, session: str, data: Data) -> dict[str, Any]:
        """Ask the first question of a seed, question `index`, or the next one.

        Raises:
            RefusedError: there is no such session, it is busy, or a value is out of its range.
        """
        _known("reset", data, _RESET)
        player = self.sessions.use(session)
        if data.get("size") is not None and data["size"] != (len(player.questions) if player.batched else None):
            raise RefusedError(
                "VALIDATION_ERROR", f"size is said when a session begins, and this one has {len(player.questions)}"
            )
        seed, index, called = (data.get(name) for name in ("seed", "index", "episode_id"))
        if called is not None and (not isinstance(called, str) or len(called) > MAX_EPISODE_ID):
            raise RefusedError(
                "VALIDATION_ERROR", f"episode_id is a string of at most {MAX_EPISODE_ID} characters, got {briefly(called)}"
            )
        room = MAX_NUMBER - len(player.questions)
        seed = None if seed is None else _number("seed", seed, 0, room)
        index = None if index is None else _number("index", index, 0, MAX_NUMBER)
        asked = [_next(each, i, seed, index, player.asked) for i, each in enumerate(player.questions)]
        results = await self._at_work(player, asked, None)
        player.questions, player.episode_id, player.steps, player.asked = asked, called, 0, True
        return _told(player, results)

    async def step(self, session: str, data: Data) -> dict[str, Any]:
        """Answer what is asked. In a batch, what has ended is passed over until all has.

        Raises:
            RefusedError: there is no such session, it is busy or asks nothing, the answers are not what it takes, or a reply
                cannot be stored; then the same question can be answered again.
        """
        _known("step", data, _STEP)
        player = self.sessions.use(session)
        if not player.asked or all(question.ended for question in player.questions):
            raise RefusedError("EXECUTION_ERROR", "nothing is being asked: the episode has ended or not begun; reset first")
        said = self._said(player, data)
        going = [i for i, question in enumerate(player.questions) if not question.ended]
        results = await self._at_work(player, [player.questions[i] for i in going], [said[i] for i in going])
        every = [Result(question, {}, 0.0, {}) for question in player.questions]
        for i, result in zip(going, results, strict=True):
            every[i] = result
        self._tell((result.question, said[i]) for i, result in zip(going, results, strict=True) if result.question.ended)
        player.questions, player.steps = [result.question for result in every], player.steps + 1
        return _told(player, every)

    def state(self, session: str) -> dict[str, Any]:
        """Return where a session stands.

        Raises:
            RefusedError: there is no such session.
        """
        return self.sessions.use(session).state

    def _tell(self, ended: Iterable[tuple[Question, Said]]) -> None:
        """Pass on the replies in words that ended questions."""
        if self._heard is None:
            return
        try:
            for question, reply in ended:
                if isinstance(reply, str):
                    self._heard(question, reply)
        except OSError as error:
            _log.error("a reply was not stored: %s", error)
            raise RefusedError("STORAGE_ERROR", "the server could not store the reply; tell who runs it") from error

    def close(self) -> None:
        """End the thread that asks and scores."""
        self._play.close()

    async def _at_work(self, player: Player, questions: list[Question], said: list[Said] | None) -> list[Result]:
        if player.busy:
            raise RefusedError("EXECUTION_ERROR", "the session is still at its last message; wait for the answer to it")
        player.busy = True
        try:
            return await self._play((questions, said))
        finally:
            player.busy = False

    def _played(self, jobs: list[tuple[list[Question], list[Said] | None]]) -> list[list[Result]]:
        """Do the jobs of many sessions: one batch of what is asked, and one of what is answered."""
        asked = [question for questions, said in jobs if said is None for question in questions]
        answered = [question for questions, said in jobs if said is not None for question in questions]
        words = [one for _, said in jobs for one in said or ()]
        shown = iter(self.episodes.ask(asked) if asked else ())
        scored = iter(self.episodes.answer(answered, words) if answered else ())
        return [[next(shown if said is None else scored) for _ in questions] for questions, said in jobs]

    def _said(self, player: Player, data: Data) -> list[Said]:
        """Return an answer to each question of a session; to those that have ended an empty one."""
        given = {name: data[name] for name in _STEP[:4] if data.get(name) is not None}
        wanted = ("replies", "actions") if player.batched else ("reply", "action")
        if len(given) != 1 or not set(given) < {*wanted}:
            raise RefusedError(
                "VALIDATION_ERROR", f"a step of this session has either {' or '.join(wanted)}, got {sorted(given)}"
            )
        ((name, value),) = given.items()
        values = value if player.batched else [value]
        if not isinstance(values, list) or len(values) != len(player.questions):
            raise RefusedError("VALIDATION_ERROR", f"{name} is a list of {len(player.questions)}, one a question")
        each = zip(values, player.questions, strict=True)
        read = self._reply if name.startswith("repl") else self._action
        return ["" if question.ended else read(one) for one, question in each]

    def _reply(self, value: Any) -> str:
        if not self.episodes.task.has_text:
            raise RefusedError("VALIDATION_ERROR", "this task has no answers in words; send an action")
        if isinstance(value, dict) and self.episodes.prompt_style == "tool":
            value = json.dumps(value)  # the arguments of a call, or a call
        if not isinstance(value, str):
            raise RefusedError("VALIDATION_ERROR", f"a reply is a string, got {briefly(value)}")
        return value[: MAX_REPLY + 1]  # longer ones score nothing, and one character too many is as good as all

    def _action(self, value: Any) -> Said:
        try:
            return self.episodes.action(value)
        except ValueError as error:
            raise RefusedError("VALIDATION_ERROR", str(error)) from error


def _told(player: Player, results: Sequence[Result]) -> dict[str, Any]:
    """Return what a client is told, as OpenEnv puts it on the wire; a batch stands in one observation."""
    if not player.batched:
        return results[0].data
    rewards = [result.reward for result in results if result.reward is not None]
    return {
        "observation": {"batch": [result.data for result in results]},
        "reward": sum(rewards) / len(rewards) if rewards else None,
        "done": all(result.question.ended for result in results),
        "metadata": {"size": len(results)},
    }


def _next(question: Question, row: int, seed: int | None, index: int | None, asked: bool) -> Question:
    """Return what a reset asks where `question` was asked last."""
    if seed is not None:
        return Question(seed + row, index or 0)
    if index is not None:
        return Question(question.seed, index)
    return Question(question.seed, question.index + asked)


def _number(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RefusedError("VALIDATION_ERROR", f"{name} is a whole number from {least} to {most}, got {briefly(value)}")
    return value


def _known(message: str, data: Data, names: tuple[str, ...]) -> None:
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise RefusedError(
            "VALIDATION_ERROR",
            f"a {message} takes {', '.join(names)}, got {briefly(', '.join(unknown))}; the task is the server's to choose",
        )
