"""In the first minibatch of an update ratios are 1, since nothing was learned yet; where they are not, nothing should be."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.runtime.processes import Processes

FIRST_RATIO = {torch.float32: (1e-2, 0.0), torch.bfloat16: (0.2, 0.01)}
"""By the precision of the passes: how far the ratio of a token may be from 1 in the first minibatch, and which share of
tokens may be farther. Rounding alone: below 1e-4 in float32; in bfloat16 it grows now and then; mistakes are everywhere."""


class FirstRatioError(ValueError):
    """Sampling and update disagree on answers that were sampled with the very weights that are to be updated."""


def require_first_ratio(ratio: Tensor, precision: torch.dtype, processes: Processes) -> None:
    """Refuse ratios that are not 1 in the first minibatch, before any step was taken.

    Args:
        ratio: (tokens,) of this process.
        precision: of the passes, a key of `FIRST_RATIO`.
        processes: which refuse together.

    Raises:
        FirstRatioError: more tokens are farther from 1 than rounding explains. Numbers that are not finite are left to the
            step, which is skipped.
    """
    errors = (ratio - 1).abs()
    limit, share = FIRST_RATIO[precision]
    beyond, count = processes.total(
        torch.stack([(errors > limit).sum(), torch.tensor(len(errors), device=errors.device)])
    ).tolist()
    if beyond > share * count:
        raise FirstRatioError(
            f"first_ratio_error is {float(errors.max()):.3g}: in the first minibatch, before any step, {beyond} of {count} "
            f"tokens have a ratio that is more than {limit:g} from 1 (in {str(precision).removeprefix('torch.')}, where "
            f"rounding explains that for at most {share:.0%} of them). The policy's log-probabilities when it sampled "
            "and when it is updated are not those of one model: its layers mean something else in one of the two passes "
            "(attention windows, positions, states that the cache does not hold), dropout is on, or its weights have grown "
            "so large that rounding is no longer small (a lower learning rate). Nothing was learned from this minibatch"
        )
