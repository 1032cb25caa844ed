"""What a run of full size takes: from seconds a step that were measured, and the number of tokens.

The measurements are those of docs/performance.md: Qwen2.5-VL-3B's architecture in bfloat16 with LoRA of rank 64 on one H200.
"""

from __future__ import annotations

from typing import NamedTuple


class Measured(NamedTuple):
    """A step that was timed.

    Args:
        answers: of the step, its questions times the answers to each.
        tokens: of each answer.
        seconds: the step took.
    """

    answers: int
    tokens: int
    seconds: float


SHORT, LONG = Measured(64 * 8, 8, 1.12), Measured(16 * 8, 512, 10.5)
CARD = "one H200, Qwen2.5-VL-3B with LoRA of rank 64, pictures of 224 x 224"


def seconds_of_step(prompts: int, group_size: int, tokens: float) -> float:
    """Return about how long a step takes: the time of its answers, and that of their tokens, by the two measurements.

    Seconds of a step are taken to be answers * (a + b * tokens); the two measurements give a and b. That is generous where
    groups are smaller than the 8 that were measured, since a prompt and its picture run once for all answers to it.

    Args:
        prompts, group_size: of the step.
        tokens: of an answer, on average.
    """
    each, long = SHORT.seconds / SHORT.answers, LONG.seconds / LONG.answers
    by_token = (long - each) / (LONG.tokens - SHORT.tokens)
    return prompts * group_size * (each + by_token * (tokens - SHORT.tokens))


def hours_of_run(iterations: int, prompts: int, group_size: int, tokens: float) -> float:
    """Return about how many hours the training of a run takes, see `seconds_of_step`."""
    return iterations * seconds_of_step(prompts, group_size, tokens) / 3600
