"""What the paper does, as data: its tasks and which of our environments is closest, its trainer, its ablations.

The paper is Guo et al., "SSL4RL: Revisiting self-supervised learning as intrinsic reward for visual-language reasoning", 2025
(arXiv 2510.16416). Facts are from its public code, PKU-ML/SSL4RL on GitHub at commit 57c830a: the scripts that build its data
(build_benchmarks/), that start its training (run_mmbench_*.sh, run_seedbench_*.sh), and the defaults of its copy of verl.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ssl4rl_envs.arguments import Checked

Half = Literal["images", "graphs"]

HALVES: tuple[Half, ...] = ("images", "graphs")

MAIN = "main"
"""The paper's tasks as they are, each alone; all other ablations change one thing about them."""


@dataclass(frozen=True)
class Question(Checked):
    """A task of the paper, and ours that is closest.

    Args:
        name: what the paper calls it.
        env, args: ours; source and size of pictures are the call's.
        theirs: what the paper shows, asks and pays.
        differs: what is other here, and why.
        cells: pictures are cut into so many parts along each side, which their size must be a multiple of.
    """

    name: str
    env: str
    theirs: str
    differs: str
    args: dict[str, Any] = field(default_factory=dict)
    cells: int = 1


IMAGES: tuple[Question, ...] = (
    Question(
        "position",
        "SSL4RL/PatchPosition-v0",
        "a picture and a crop of one of its quarters, each side 0.2 to 0.8 of the quarter's; which quarter?",
        "the crop is 2/3 of a quarter, enlarged, of a place that looks like no part of another quarter",
        {"grid": 2},
    ),
    Question(
        "rotation",
        "SSL4RL/Rotation-v0",
        "a picture, and the same turned by 0, 90, 180 or 270 degrees; by how many, counter-clockwise?",
        "both pictures are square views of one size, so that no frame tells the angle",
        {"angles": 4, "reference": True},
    ),
    Question(
        "contrastive",
        "SSL4RL/Contrastive-v0",
        "two augmented crops of 224 x 224 (SimCLR's augmentations), of one picture or of two; positive or negative?",
        "views of one picture overlap, and two pictures that look alike are never called different",
        {"strength": "strong"},
    ),
    Question(
        "jigsaw",
        "SSL4RL/PatchOrdering-v0",
        "the 2 x 2 parts of a picture in random order, as four pictures; the position of each, a share of 1/4 for each that "
        "is right",
        "the shuffled parts stand in one picture; a permutation is asked for, and one right place is worth nothing",
        {"grid": 2},
        cells=2,
    ),
)
"""The tasks over pictures; each of them shows two pictures but the last."""

GRAPHS: tuple[Question, ...] = (
    Question(
        "edge",
        "SSL4RL/EdgePrediction-v0",
        "two nodes of a graph; are they joined?",
        "half of the pairs are, none of them in what is shown, and a pair is asked about in one split alone",
    ),
    Question(
        "attribute",
        "SSL4RL/NodeAttribute-v0",
        "a node whose attributes are hidden, with its neighbourhood; which are they?",
        "which group of similar features it belongs to, all equally likely",
    ),
    Question(
        "neighbourhood",
        "SSL4RL/NeighborChoice-v0",
        "a node and several others; which is its neighbour?",
        "all candidates have equally many edges in what is shown",
    ),
)
"""The questions about graphs. The paper's code has no part about graphs; the same kinds of questions are asked by our own."""

QUESTIONS: dict[Half, tuple[Question, ...]] = {"images": IMAGES, "graphs": GRAPHS}

TRAINER: dict[str, Any] = {
    "algorithm": "ppo",  # whose advantages are those of groups
    "rollout": {"group_size": 5},
    "optimizer": {
        "epochs": 1,
        "minibatches": 4,  # 512 questions, 128 at a time
        "schedule": "constant",
        "warmup_iterations": 0,
        "betas": (0.9, 0.999),
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
    },
    "objective": {
        "advantage": "grpo",
        "clip_low": 0.2,
        "clip_high": 0.2,
        "dual_clip": 3.0,
        "aggregation": "token_mean",
        "entropy_coefficient": 0.0,
        "kl_coefficient": 0.01,
        "kl_loss": "k3",  # what verl calls low_var_kl
    },
    "policy": {"temperature": 1.0},
}
"""The paper's trainer, where it depends on neither model nor size."""

LEARNING_RATE = 1e-6
"""Of a pretrained model; networks from scratch have the trainer's own default, since they would learn nothing by this one."""

PROMPTS, ITERATIONS = 512, 300
"""Questions an iteration; iterations until the checkpoint that the paper's README measures."""

PROMPT_TOKENS, REPLY_TOKENS = 1024, 2048

MODEL, LARGER = "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"
READER = "Qwen/Qwen2.5-3B-Instruct"
"""Of questions about graphs in words."""


@dataclass(frozen=True)
class Beyond(Checked):
    """What is measured beside the task that is trained, before and after.

    Args:
        name: of the measurement, see `bench.names`; `{source}` stands for the graph, `{env}` for the environment of training.
        reads: only of models that read "arrays", or "words"; of all where it is empty.
        tasks: only where these are trained; all where none is named.
    """

    name: str
    reads: Literal["", "arrays", "words"] = ""
    tasks: tuple[str, ...] = ()


TRANSFER = (
    Beyond("nodes:{source}@20"),
    Beyond("links:{source}@250"),
    Beyond("links:{source}", "arrays", ("edge",)),  # other heads of graph networks give no such answers
    Beyond("links:{source}", "words"),
    Beyond("distance:{source}@250", "arrays"),
    Beyond("distance:{source}", "words"),  # long prompts: a probe would need as many again for its lessons
)
"""Of the graph that is trained on."""

ACROSS = (
    Beyond("task:{env} over {source}"),
    Beyond("nodes:{source}@20"),
    Beyond("links:{source}@250"),
)
"""Of every other graph."""


@dataclass(frozen=True)
class Change(Checked):
    """What an ablation changes about a task.

    Args:
        name: what tables call it.
        tasks: which; all of the half where none is named.
        env: another environment; empty for the task's own.
        args: of the environment, besides the task's or in their place.
        cells: as of `Question`; 0 for the task's own.
        share: of the iterations, and so of the questions.
        larger: whether a larger model is trained.
        settings: of the trainer, nested, over the task's.
        transfers: whether it is measured what else the model does before and after (`TRANSFER`, `ACROSS`).
        arrays: whether only models that read arrays do it, for which it costs seconds.
    """

    name: str
    tasks: tuple[str, ...] = ()
    env: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    cells: int = 0
    share: float = 1.0
    larger: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    transfers: bool = False
    arrays: bool = False


COIN = "paid by a coin"
"""The name of what learns as long from rewards that say nothing: what is left of a gain there is no merit of the task."""

VOLUME = (Change("a quarter of the questions", share=0.25), Change("half of the questions", share=0.5))
BIGGER = (Change("a larger model", larger=True),)

MIXTURE = "mixture"
"""The name of the task that several tasks together are."""

MIXTURE_OF = {"position": "PatchPosition", "rotation": "Rotation", "contrastive": "Contrastive", "jigsaw": "PatchOrdering"}


def _together(*names: str) -> Change:
    return Change(
        " + ".join(names),
        (MIXTURE,),
        "SSL4RL/Mixture-v0",
        {"tasks": tuple(MIXTURE_OF[name] for name in names)},
        cells=2,
    )


ABLATIONS: dict[Half, dict[str, tuple[Change, ...]]] = {
    "images": {
        MAIN: (Change(""),),
        "difficulty": (
            Change("the crop is augmented", ("position",), args={"augmentation": "strong"}),
            Change("steps of 45 degrees", ("rotation",), args={"angles": 8}),
            Change("mild augmentations", ("contrastive",), args={"strength": "weak"}),
            Change("views that hardly overlap", ("contrastive",), args={"min_overlap": 0.1}),
            Change("3 x 3 parts", ("jigsaw",), args={"grid": 3}, cells=3),
        ),
        "model": BIGGER,
        "volume": VOLUME,
        "mixture": (
            _together("position", "rotation"),
            _together("position", "contrastive"),
            _together("position", "rotation", "contrastive"),
            _together("position", "rotation", "contrastive", "jigsaw"),
        ),
    },
    "graphs": {
        MAIN: (Change(""),),
        "difficulty": (
            Change("pairs of equal degrees", ("edge",), args={"negatives": "degree"}),
            Change("8 groups", ("attribute",), args={"groups": 8}),
            Change("a word of the node", ("attribute",), args={"attribute": "word"}),
            Change("2 candidates", ("neighbourhood",), args={"candidates": 2}),
            Change("8 candidates", ("neighbourhood",), args={"candidates": 8}),
        ),
        "model": BIGGER,
        "volume": VOLUME,
        "transfer": (
            Change("", transfers=True),
            Change(COIN, settings={"control": {"reward": "coin"}}, transfers=True, arrays=True),
        ),
    },
}
"""What the paper varies: which task, how difficult it is, how large the model, how many questions, and several at once."""


def question_of(half: Half, task: str) -> Question:
    """Return a task of a half by its name.

    Raises:
        ValueError: there is none.
    """
    for question in QUESTIONS[half]:
        if question.name == task:
            return question
    known = ", ".join(question.name for question in QUESTIONS[half])
    raise ValueError(f"--task must be one of {known}, got {task}")
