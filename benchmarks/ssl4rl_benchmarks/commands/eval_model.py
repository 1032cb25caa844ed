"""``ssl4rl eval openai:MODEL ENV`` and ``ssl4rl eval hf:MODEL ENV``: models as they are; replies are stored, then scored."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ssl4rl_agents.agent import MODELS
from ssl4rl_agents.replies import Measurement, Prices, Quiz, ReplyFile, measure_replies
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, names_nothing, quieten, require
from ssl4rl_benchmarks.commands.eval_model_flags import EndpointFlags, PretrainedFlags, endpoint_of, pretrained_of
from ssl4rl_benchmarks.reports.replies import told
from ssl4rl_envs.registration import env_id_of
from ssl4rl_envs.telling import Line, Progress, waiting

if TYPE_CHECKING:
    from ssl4rl_agents.endpoints.client import Endpoint
    from ssl4rl_agents.endpoints.collect import Progress as SoFar


def names_model(agent: str) -> bool:
    """Return whether a name is that of a model as it is: openai:MODEL or hf:MODEL."""
    return agent.partition(":")[0] in MODELS and ":" in agent


def run(agent: str, rest: list[str]) -> Outcome:
    """Ask the model that a call names, store its replies, and score them."""
    kind, _, model = agent.partition(":")
    command: type[EndpointFlags | PretrainedFlags] = EndpointFlags if kind == "openai" else PretrainedFlags
    text = f"{command.__doc__} Its replies are stored, and `ssl4rl score` scores them again."
    if names_nothing(rest) and rest and _is_env(rest[-1]):
        rest = [rest[-1], *rest[:-1]]  # the environment may stand at the end
    call = flags.parse_with_env(command, rest, f"eval {agent}", text)
    given = call.command
    require(f"eval {kind}:")
    quiz = Quiz(
        call.env_id,
        call.env_args,
        split=given.split,
        seed=given.seed,
        questions=given.episodes,
        samples=given.samples,
        prompt_style=given.prompt_style,
    )
    out = given.out or default_file(agent, quiz)
    if isinstance(given, EndpointFlags):
        return _of_endpoint(endpoint_of(model, given), quiz, out, given)
    return _of_pretrained(model, quiz, out, given)


def _is_env(word: str) -> bool:
    """Return whether a word names an environment, rather than being the value of a flag."""
    try:
        env_id_of(word)
    except ValueError:
        return False
    return True


def default_file(agent: str, quiz: Quiz) -> Path:
    """Return where replies go if a call does not say it."""
    plain = re.sub(r"[^\w.-]+", "-", f"{agent} {quiz.env_id.rpartition('/')[2]} {quiz.split}")
    return Path("replies") / f"{plain}.jsonl"


def outcome(result: Measurement, out: Path, *, json_wanted: bool) -> Outcome:
    """Tell a result, unless JSON is wanted; the status is 1 where replies did not come."""
    if not json_wanted:
        print(f"{told(result)}\nreplies: {out}")
    return Outcome(int(result.errors > 0), {**result.to_json(), "replies_in": str(out)}, json_wanted)


def _of_endpoint(endpoint: Endpoint, quiz: Quiz, out: Path, given: EndpointFlags) -> Outcome:
    from ssl4rl_agents.endpoints.collect import collect

    prices = Prices(given.price_in, given.price_out)
    with ReplyFile(out) as file:
        line = Line()

        def watch(progress: SoFar) -> None:
            if line.due:
                line.show(so_far(progress, prices))

        progress = collect(endpoint, quiz, file, watch=watch)
        line.show(so_far(progress, prices), last=True)
        rows = quiz.rows_of(file.rows, model=endpoint.model, kind="model", settings=endpoint.sampling)
    (result,) = measure_replies(rows, errors_as=given.errors_as, prices=prices)
    return outcome(result, out, json_wanted=given.json)


def _of_pretrained(model: str, quiz: Quiz, out: Path, given: PretrainedFlags) -> Outcome:
    with waiting("loading torch and transformers"):
        quieten()
    from ssl4rl_agents.pretrained import collect_replies  # which imports them

    chosen = pretrained_of(model, given)
    with ReplyFile(out) as file:
        progress = Progress(f"asking {model}", quiz.questions * quiz.samples)
        collect_replies(chosen, quiz, file, watch=progress.tell)
        progress.end()
        rows = quiz.rows_of(file.rows, model=chosen.model, kind="model", settings=chosen.sampling)
    (result,) = measure_replies(rows)
    return outcome(result, out, json_wanted=given.json)


def so_far(progress: SoFar, prices: Prices) -> str:
    """Put in one line how far the questions to an endpoint are, and what they took."""
    cost = prices.of(progress.prompt_tokens, progress.completion_tokens)
    failures = ", ".join(f"{count} x {reason}" for reason, count in sorted(progress.counts.failures.items()))
    minutes = (time.monotonic() - progress.began) / 60
    parts = {
        f"{progress.there + progress.replies:,} of {progress.wanted:,} replies": True,
        f"{progress.there:,} were there": progress.there,
        f"{progress.errors:,} did not come, the last: {progress.last_error}": progress.errors,
        f"attempts that failed: {failures}": failures,
        f"waited {progress.counts.waited:.0f} s": progress.counts.waited >= 1,
        f"{progress.prompt_tokens:,} tokens read, {progress.completion_tokens:,} written": progress.prompt_tokens,
        f"cost {cost:.4g}": cost,
        f"{progress.replies / max(minutes, 1e-9):.0f} a minute": minutes > 0.05,
    }
    return "; ".join(part for part, said in parts.items() if said)
