"""Models behind an endpoint: a server that misbehaves in every way costs retries and counts, never a wrong number."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ssl4rl_agents.agent import agent_interface, load_agent
from ssl4rl_agents.endpoints import wire
from ssl4rl_agents.endpoints.client import Client, Endpoint, EndpointError, RefusedError
from ssl4rl_agents.endpoints.collect import HOPELESS, Progress, collect
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.replies import Prices, Quiz, ReplyFile, measure_replies, read_replies
from ssl4rl_envs import SSLVectorEnv
from ssl4rl_envs.answers import wrap
from tests.clients.endpoint_server import USAGE, FakeClock, Server, rounds

DIGITS = {"source": "digits", "image_size": 36}
KEY = "sk-secret-of-a-test"
pytestmark = pytest.mark.usefixtures("no_way_out")


@pytest.fixture(scope="module")
def quiz() -> Quiz:
    return Quiz("SSL4RL/Rotation-v0", DIGITS, questions=24)


def truths_of(quiz: Quiz, style: str = "direct") -> dict[str, str]:
    """The right replies by the digests of questions."""
    found: dict[str, str] = {}
    for batch, shown in quiz.batches(lambda _: True):
        for each, truth in zip(shown, quiz.task.truths(batch), strict=True):
            found[each.digest] = wrap(str(truth), style)
    return found


@pytest.fixture(scope="module")
def truths(quiz: Quiz) -> dict[str, str]:
    return truths_of(quiz)


@pytest.fixture
def serve(truths: dict[str, str], start: Callable[..., Server]) -> Callable[..., Server]:
    """Start servers that know the right replies."""

    def serve(moods: Callable[[int], list[str]] = lambda _: [], answer: Callable[[str], str] = truths.__getitem__) -> Server:
        return start(answer, moods)

    return serve


def endpoint(server: Server, **more: Any) -> Endpoint:
    return Endpoint("model", server.url, **{"timeout": 20.0, "concurrency": 8, **more})


def asked(server: Server, quiz: Quiz, path: Path, clock: FakeClock | None = None, **more: Any) -> Progress:
    """Ask a quiz of a server; replies go to a file."""
    with ReplyFile(path) as file:
        return collect(endpoint(server, **more), quiz, file, clock=clock or FakeClock())


def test_a_server_that_behaves_is_asked_once_each_and_concurrently(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path
) -> None:
    server = serve(rounds("crowd"))
    path = tmp_path / "replies.jsonl"
    progress = asked(server, quiz, path)
    assert (progress.wanted, progress.there, progress.replies, progress.errors) == (24, 0, 24, 0)
    assert progress.counts.requests == len(server.requests) == 24
    assert progress.counts.failures == {}
    assert (progress.prompt_tokens, progress.completion_tokens) == (2400, 240)
    assert server.busiest == 8
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("model", 0.0, 1024)
    assert server.keys == {None}
    (result,) = measure_replies(read_replies([path]), prices=Prices(3.0, 15.0))
    assert result.strict is not None
    assert result.lenient is not None
    assert (result.strict.success, result.lenient.success, result.strict.normalised) == (1, 1, 1)
    assert (result.questions, result.replies, result.errors, result.unchecked, result.uncounted) == (24, 24, 0, 0, 0)
    assert result.tokens == {"prompt_tokens": 2400, "completion_tokens": 240}
    assert result.cost == pytest.approx((2400 * 3 + 240 * 15) / 1e6)


PASSING = (
    "status 429 2",
    "status 500",
    "status 503",
    "status 408",
    "half",
    "cut",
    "gone",
    "html",
    "empty",
    "error",
    "none",
    "says 200 []",
    'says 200 {"choices": [{}]}',
    "says 529 overloaded",
)


def test_what_goes_wrong_in_passing_is_asked_again_and_counted(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path
) -> None:
    server, clock = serve(rounds(*PASSING)), FakeClock()
    progress = asked(server, quiz, tmp_path / "replies.jsonl", clock)
    assert (progress.replies, progress.errors) == (24, 0)
    assert progress.counts.requests == len(server.requests) == 48  # each question misses once
    moods = Counter(PASSING[number % len(PASSING)].split(" ")[0] for number in range(24))
    broken = sum(
        server.behaved[mood] for mood in PASSING if mood.split(" ")[0] not in ("status", "cut", "gone") and "529" not in mood
    )
    assert server.behaved["answer"] == 24
    assert sum(moods.values()) == 24
    failures = progress.counts.failures
    assert failures["status 429"] == server.behaved["status 429 2"] == 2
    assert failures["status 500"] == failures["status 503"] == failures["status 408"] == 2
    assert failures["connection"] == server.behaved["cut"] + server.behaved["gone"]
    assert failures["broken"] == broken
    assert sum(failures.values()) == 24
    assert max(clock.waits) >= 2  # what Retry-After asks for
    rows = read_replies([tmp_path])
    assert all(row.attempts == 2 and row.error is None and row.usage == USAGE for row in rows)
    (result,) = measure_replies(rows)
    assert result.strict is not None
    assert result.strict.success == 1


def test_what_hangs_or_drips_is_given_up_by_the_limit_of_the_whole_response(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path
) -> None:
    small = Quiz(quiz.env_id, DIGITS, questions=6)
    server = serve(rounds("hang", "drip", "slow"))
    progress = asked(server, small, tmp_path / "replies.jsonl", timeout=1.0)
    assert (progress.replies, progress.errors) == (6, 0)
    assert set(progress.counts.failures) == {"time-out"}
    assert progress.counts.failures["time-out"] >= 4  # on a machine that does much else, an answer may be late as well
    assert [server.behaved[mood] for mood in ("hang", "drip", "slow")] == [2, 2, 2]
    assert server.behaved["answer"] >= 4


def test_questions_without_a_reply_are_stored_with_the_reason_and_not_measured(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path
) -> None:
    def moods(number: int) -> list[str]:
        return {3: ["status 500"] * 9, 7: ["html"] * 9, 11: ["status 422"], 13: ["status 429 9999"]}.get(number, [])

    path = tmp_path / "replies.jsonl"
    server = serve(moods)
    progress = asked(server, quiz, path, retries=2)
    assert (progress.replies, progress.errors) == (20, 4)
    assert progress.counts.requests == 20 + 3 + 3 + 1 + 1
    assert progress.counts.failures == {"status 500": 3, "broken": 3, "refused": 1, "status 429": 1}
    errors = [row.error for row in read_replies([path]) if row.error]
    for words in ("status 500", "is no JSON", "status 422", "asks for 9999 s"):
        assert sum(words in error for error in errors) == 1
    missing, wrong = (measure_replies(read_replies([path]), errors_as=how)[0] for how in ("missing", "wrong"))
    assert missing.strict is not None
    assert wrong.strict is not None
    assert (missing.replies, missing.errors, missing.strict.success) == (20, 4, 1)
    assert (wrong.replies, wrong.errors, wrong.strict.success) == (24, 4, 20 / 24)
    # Asked again, these alone are asked, and their replies replace the errors.
    server.behaved.clear()
    again = asked(server, quiz, path)
    assert (again.there, again.replies) == (20, 4)
    (result,) = measure_replies(read_replies([path]))
    assert (result.replies, result.errors) == (24, 0)


def test_a_run_that_stopped_goes_on_where_it_was(serve: Callable[..., Server], quiz: Quiz, tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    server = serve()
    asked(server, Quiz(quiz.env_id, DIGITS, questions=10), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(UserWarning, match="was cut off"):
        progress = asked(server, quiz, path)
    assert (progress.there, progress.replies, len(server.requests)) == (9, 15, 25)
    assert asked(server, quiz, path).replies == 0
    assert asked(server, quiz, path, temperature=1.0).replies == 24  # another temperature is another run
    assert sorted((row.settings["temperature"], row.index) for row in read_replies([path])) == [
        (temperature, index) for temperature in (0.0, 1.0) for index in range(24)
    ]


def test_several_samples_give_pass_at_k(
    serve: Callable[..., Server], quiz: Quiz, truths: dict[str, str], tmp_path: Path
) -> None:
    small = Quiz(quiz.env_id, DIGITS, questions=4, samples=4)
    seen: Counter[str] = Counter()

    def one_in_four(digest: str) -> str:
        seen[digest] += 1
        return truths[digest] if seen[digest] == 1 else "no idea"

    asked(serve(answer=one_in_four), small, tmp_path / "replies.jsonl", concurrency=1)
    (result,) = measure_replies(read_replies([tmp_path]))
    assert result.strict is not None
    assert (result.questions, result.replies) == (4, 16)
    assert result.strict.pass_at == {1: 0.25, 2: 0.5, 4: 1.0}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_address_ends_the_run_and_the_key_is_told_nobody(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve(lambda _: [f"status {status}"] * 9)
    with pytest.raises(RefusedError, match=f"refuses: status {status}") as error:
        asked(server, quiz, tmp_path / "replies.jsonl")
    assert server.keys == {f"Bearer {KEY}"}
    assert len(server.requests) <= 8
    assert KEY not in str(error.value)
    assert "Bearer [key]" in str(error.value)


def test_the_key_is_not_stored_where_a_server_repeats_it(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    server = serve(lambda number: ["status 422"] if number == 5 else [])
    progress = asked(server, quiz, tmp_path / "replies.jsonl", key_variable="OTHER_KEY")
    assert progress.errors == 1
    assert server.keys == {f"Bearer {KEY}"}
    stored = (tmp_path / "replies.jsonl").read_text()
    assert KEY not in stored
    assert "[key]" in stored


def test_a_model_that_never_replies_is_not_asked_for_ever(serve: Callable[..., Server], tmp_path: Path) -> None:
    many = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=60)
    server = serve(lambda _: ["status 422"] * 9, answer=str)
    with pytest.raises(EndpointError, match=f"none of the first {HOPELESS} questions got a reply; the last: status 422"):
        asked(server, many, tmp_path / "replies.jsonl", concurrency=1)
    assert len(server.requests) == HOPELESS


def test_an_empty_account_is_no_busy_server(serve: Callable[..., Server], quiz: Quiz, tmp_path: Path) -> None:
    server = serve(lambda _: ['says 429 {"error": {"code": "insufficient_quota"}}'] * 9)
    with pytest.raises(RefusedError, match="insufficient_quota"):
        asked(server, quiz, tmp_path / "replies.jsonl")


def test_replies_that_say_nothing_are_replies(serve: Callable[..., Server], quiz: Quiz, tmp_path: Path) -> None:
    """Refusals, filters and thinking without end are measured as what they are: no answers."""
    server = serve(rounds("refusal", "filter", "thinking", "length", "parts", "usage null"))
    progress = asked(server, quiz, tmp_path / "replies.jsonl")
    assert (progress.replies, progress.counts.requests) == (24, 24)
    rows = read_replies([tmp_path])
    assert Counter(row.reply for row in rows if row.reply in ("", "I cannot help with that.")) == {
        "": 8,
        "I cannot help with that.": 4,
    }
    (result,) = measure_replies(rows)
    assert result.strict is not None
    assert result.lenient is not None
    assert (result.truncated, result.uncounted) == (8, 4)
    assert result.strict.success == 8 / 24  # "parts" and "usage" alone
    assert result.lenient.success == 12 / 24  # and what was said in whole before it was cut off


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": "100", "completion_tokens": 1}, {"prompt_tokens": -1, "completion_tokens": 1}, [], {}, 7, True],
)
def test_counts_of_tokens_that_cannot_be_are_unknown(usage: Any) -> None:
    body = {"choices": [{"message": {"content": "hi"}}], "usage": usage}
    assert wire.read_reply(json.dumps(body).encode()) == wire.Reply("hi", None, None)


def test_a_newer_name_of_the_longest_reply_is_learned(serve: Callable[..., Server], quiz: Quiz, tmp_path: Path) -> None:
    refuses = "says 400 Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    server = serve(lambda number: [refuses] if number == 0 else [])
    progress = asked(server, quiz, tmp_path / "replies.jsonl", concurrency=1)
    assert (progress.replies, progress.errors, progress.counts.requests) == (24, 0, 25)
    assert "max_tokens" in server.requests[0]
    assert all(request["max_completion_tokens"] == 1024 for request in server.requests[1:])


def test_in_the_style_of_tools_a_call_is_the_reply(serve: Callable[..., Server], tmp_path: Path) -> None:
    called = Quiz("SSL4RL/PatchOrdering-v0", {"source": "digits"}, questions=8, prompt_style="tool")
    truths = truths_of(called, "tool")
    server = serve(rounds("call", "answer"), answer=truths.__getitem__)
    asked(server, called, tmp_path / "replies.jsonl")
    (tool,) = server.requests[0]["tools"]
    assert tool["function"]["name"] == server.requests[0]["tool_choice"]["function"]["name"] == "answer"
    assert json.loads(next(iter(truths.values()))).keys() == {"answer"}
    (result,) = measure_replies(read_replies([tmp_path]))
    assert result.strict is not None
    assert (result.prompt_style, result.questions, result.strict.success) == ("tool", 8, 1)


CALL = '{"id": "1", "type": "function", "function": {"name": "answer", "arguments": TEXT}}'
PARTS = ('"I say\\n```json\\n"', "TEXT", '"\\n```"')
FENCED = f'{{"content": [{", ".join(f"""{{"type": "text", "text": {part}}}""" for part in PARTS)}]}}'
CALLED = {
    f'{{"content": null, "tool_calls": [{CALL}]}}': (True, True),
    f'{{"content": "I call it.", "tool_calls": [{CALL}]}}': (True, True),
    '{"tool_calls": [{"function": {"name": "answer", "arguments": ANSWER}}]}': (True, True),  # an object, not its text
    '{"content": TEXT}': (True, True),  # servers without tools leave it in the text
    '{"content": TEXT, "tool_calls": []}': (True, True),
    '{"content": TEXT, "tool_calls": "none"}': (True, True),
    f'{{"content": null, "tool_calls": [{CALL}, {CALL}]}}': (False, False),
    f'{{"content": TEXT, "tool_calls": [{CALL.replace("answer", "look")}]}}': (False, False),
    '{"content": null, "tool_calls": [{"function": {"name": "answer", "arguments": "{\\"answer\\": "}}]}': (False, False),
    '{"content": null, "tool_calls": [{"function": null}]}': (False, False),
    '{"content": null, "tool_calls": [{}]}': (False, False),
    '{"content": null, "refusal": "No."}': (False, False),
    FENCED: (False, True),
}
"""Messages of servers that call a tool well, ill or not at all, and whether they are read: strictly, leniently."""


@pytest.mark.parametrize(("message", "read"), CALLED.items())
def test_calls_are_read_where_they_are_one_call_of_the_tool(
    serve: Callable[..., Server], tmp_path: Path, message: str, read: tuple[bool, bool]
) -> None:
    called = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=2, prompt_style="tool")
    server = serve(rounds(f"message {message}"), answer=truths_of(called, "tool").__getitem__)
    progress = asked(server, called, tmp_path / "replies.jsonl")
    assert (progress.replies, progress.errors, progress.counts.requests) == (2, 0, 2)
    (result,) = measure_replies(read_replies([tmp_path]))
    assert result.strict is not None
    assert result.lenient is not None
    assert (result.strict.success, result.lenient.success) == tuple(map(float, read))


@pytest.mark.parametrize("calls", ["null", "[null]", "{}", '"none"'])
def test_a_message_with_neither_call_nor_text_is_asked_again(
    serve: Callable[..., Server], tmp_path: Path, calls: str
) -> None:
    called = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=2, prompt_style="tool")
    server = serve(
        rounds(f'message {{"content": null, "tool_calls": {calls}}}'), answer=truths_of(called, "tool").__getitem__
    )
    progress = asked(server, called, tmp_path / "replies.jsonl")
    assert (progress.replies, progress.counts.requests, progress.counts.failures) == (2, 4, {"broken": 2})


def test_an_agent_behind_an_endpoint_is_offered_the_tool_of_its_environments(serve: Callable[..., Server]) -> None:
    called = Quiz("SSL4RL/Rotation-v0", DIGITS, split="train", questions=4, prompt_style="tool")
    server = serve(lambda _: ["call"], answer=truths_of(called, "tool").__getitem__)
    envs = SSLVectorEnv(called.task, num_envs=4, interface="text", prompt_style="tool")
    agent = load_agent("openai:model", envs, base_url=server.url)
    shown, _ = envs.reset(seed=[0] * 4, options={"index": range(4)})
    assert envs.step(agent.act(shown, deterministic=True))[1].tolist() == [1] * 4
    assert [tool["function"]["name"] for request in server.requests for tool in request["tools"]] == ["answer"] * 4


def test_what_is_left_to_the_server_is_not_sent_and_what_is_extra_is(
    serve: Callable[..., Server], quiz: Quiz, tmp_path: Path
) -> None:
    server = serve()
    small = Quiz(quiz.env_id, DIGITS, questions=1)
    asked(server, small, tmp_path / "a.jsonl", temperature=None, max_tokens=None, extra={"reasoning_effort": "low"})
    assert set(server.requests[0]) == {"model", "messages", "reasoning_effort"}
    (row,) = read_replies([tmp_path])
    assert row.settings == {"temperature": None, "max_tokens": None, "reasoning_effort": "low"}


def test_retry_after_is_obeyed_by_all_and_no_wait_means_backing_off(serve: Callable[..., Server], quiz: Quiz) -> None:
    clock = FakeClock()

    async def twice(server: Server) -> None:
        async with Client(endpoint(server, concurrency=1), clock) as client:
            await client.ask([{"role": "user", "content": "q"}])

    server = serve(lambda _: ["status 429 7", "status 429 0.5", "status 500", "status 500", "status 500"], answer=str)
    asyncio.run(twice(server))
    asked_for, backed_off = clock.waits[:2], clock.waits[2:]
    assert 7 <= asked_for[0] <= 7.7
    assert 0.5 <= asked_for[1] <= 0.55
    assert [0.5 <= wait / longest <= 1 for wait, longest in zip(backed_off, (2, 4, 8), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:10 GMT"}, 10),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_when_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    assert wire.wait_of(headers, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url must be an address"),
        ({"base_url": "https://me:secret@host/v1"}, "no credentials"),
        ({"base_url": "https://host/v1?key=secret"}, "no credentials"),
        ({"model": ""}, "name a model"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"timeout": 0.0}, "timeout above 0"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_wrong_settings_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Endpoint("m", "http://localhost/v1"), **more)


def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(ValueError, match="set OPENAI_API_KEY in the environment"):
        Client(Endpoint("m"))


def test_a_model_behind_an_endpoint_is_an_agent(serve: Callable[..., Server], quiz: Quiz) -> None:
    assert agent_interface("openai:model") == "text"
    server = serve(rounds("html", "answer"), answer=lambda _: "<answer>90</answer>")
    envs = SSLVectorEnv(quiz.task, num_envs=4, interface="text")
    agent = load_agent("openai:model", envs, base_url=server.url, concurrency=2)
    result = evaluate_in(agent, envs, env=quiz.env_id, episodes=8)
    assert result.readable == 1
    assert len(server.requests) == 8 + server.behaved["html"]
    broken = serve(lambda _: ["status 422"] * 9, answer=str)
    agent = load_agent("openai:model", envs, base_url=broken.url)
    with pytest.raises(EndpointError, match="4 of 4 questions got no reply; the first: status 422"):
        agent.act(envs.reset(seed=0)[0])
    with pytest.raises(TypeError, match="max_token"):
        load_agent("openai:model", envs, max_token=4)


def test_rows_of_models_know_what_was_asked(serve: Callable[..., Server], quiz: Quiz, tmp_path: Path) -> None:
    asked(serve(), quiz, tmp_path / "replies.jsonl")
    rows = read_replies([tmp_path])
    who = {"model": rows[0].model, "kind": "model", "settings": rows[0].settings}
    assert quiz.rows_of(rows, **who) == rows
    assert quiz.rows_of(rows, **{**who, "settings": {"temperature": 0.5}}) == []
    assert quiz.rows_of([replace(row, index=quiz.questions) for row in rows], **who) == []
    for row in rows:
        assert (row.kind, row.prompt_style, row.split, row.seed) == ("model", "direct", "test", 0)
        assert json.loads(row.args)["image_size"] == 36
