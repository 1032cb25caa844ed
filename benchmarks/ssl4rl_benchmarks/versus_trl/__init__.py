"""Speed and memory of the trainer beside TRL's GRPOTrainer, on the same model, questions and device.

    python -m ssl4rl_benchmarks.versus_trl --model tiny --json

Both answer the same 64 questions several times in at most 8 new tokens and take one optimizer step over all answers, by GRPO
without a reference, dropout or log. Rounds of the two alternate in one process, so that a disturbance of the machine meets
both; memory is measured in a process of its own for each. TRL is an extra: ``pip install '.[all,trl]'``.

Weights are random, so no answer is right and the gradients are zero; both sides compute them all the same.
"""

from ssl4rl_benchmarks.spinning import sleep_soon

sleep_soon()  # as `ssl4rl` does; here, since the modules of this package import torch
