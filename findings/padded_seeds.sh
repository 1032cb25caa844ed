#!/usr/bin/env bash
# numpy: a seed that is a list is the same with and without zeros behind it. default_rng(7), default_rng([7]),
# default_rng([7, 0]) and default_rng([7, 0, 0]) draw the same numbers.
#
# One would guess that lists that differ are different seeds, as they are for RandomState. The documentation ("Parallel random
# number generation", section "Sequence of integer seeds") says that lists of a seed and a number are about as safe as spawning,
# and of [root_seed, worker_id] that it is less flexible and works. But SeedSequence mixes its entropy into a pool of four words of
# 32 bits and fills up with zeros what is missing, without mixing in the length (numpy/random/bit_generator.pyx): for a seed of
# less than 97 bits, number 0 is the seed itself. Children of spawn() and spawn_key=(0,) are told apart; lists are not, and the
# documentation of default_rng and SeedSequence does not say so.
#
# Whoever keys streams by (seed, what, index), as a task or a source of one's own would, gets one stream for number 0 and for the
# level above: pictures and answers of question 0 are drawn with the numbers that shuffled the data set, and a "held-out" stream
# [seed, 0] is the training stream [seed].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'CODE'
import numpy as np
from numpy.random import RandomState, SeedSequence, default_rng

print("numpy", np.__version__)
seeds = (7, [7], [7, 0], [7, 0, 0], [7, 0, 0, 0], [7, 1], [7, 0, 1], [0, 7])
drawn = {str(seed): tuple(default_rng(seed).integers(1_000_000, size=4).tolist()) for seed in seeds}
for seed, numbers in drawn.items():
    print(f"default_rng({seed}):".ljust(28), numbers)
same = [seed for seed, numbers in drawn.items() if numbers == drawn["7"]]
assert same == ["7", "[7]", "[7, 0]", "[7, 0, 0]", "[7, 0, 0, 0]"], f"the same as seed 7: {same}"
train, held_out = default_rng([7]).permutation(1000)[:100], default_rng([7, 0]).permutation(1000)[:100]
print("100 of 1,000 items drawn for training by [7] and held out by [7, 0]: in common", len(set(train) & set(held_out)))
assert set(train) == set(held_out)
assert RandomState([7]).randint(10**6) != RandomState([7, 0]).randint(10**6), "RandomState used to tell them apart"
child, keyed = SeedSequence(7).spawn(1)[0], SeedSequence(7, spawn_key=(0,))
assert default_rng(child).integers(10**6) == default_rng(keyed).integers(10**6) != drawn["7"][0], "spawn keys are told apart"
print("zeros behind a seed change nothing; RandomState and spawn_key=(0,) tell such seeds apart")
CODE
