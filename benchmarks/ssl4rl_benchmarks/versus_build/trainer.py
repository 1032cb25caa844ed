"""One commit's process: loads a model, then takes a step of training as often as it is told to.

It is run as a script under the packages of either commit, so it uses what both offer. It reads one line of JSON for the case,
then a line for every step; it answers each with a line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def serve() -> None:
    """Load what the first line says, warm up, and take steps."""
    out, sys.stdout = sys.stdout, sys.stderr  # nothing else may be said there
    case = json.loads(sys.stdin.readline())
    model, settings = case["arguments"]["model"], case["arguments"]["settings"]

    import torch

    from ssl4rl_benchmarks.versus_trl.ours import Ours
    from ssl4rl_benchmarks.versus_trl.settings import Settings

    torch.set_num_threads(settings["threads"])
    known = {field.name for field in dataclasses.fields(Settings)}  # older commits have fewer
    with tempfile.TemporaryDirectory() as folder:
        chosen = Settings(**{name: value for name, value in settings.items() if name in known})
        ours = Ours(chosen, Path(model), Path(folder) / "run")
        policy: Any = ours.trainer.policy

        def step(longest: int) -> dict[str, float]:
            policy.max_new_tokens = longest
            begun = time.perf_counter()
            values = ours.trainer.iterate()
            if settings["device"] == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - begun
            ours.trainer.iteration += 1
            return {
                "step": seconds,
                "answers": values["seconds/answers"],
                "update": values["seconds/update"],
                "tokens": values["tokens"],
            }

        step(min(8, settings["new_tokens"]))
        print(json.dumps({"prepared": 1.0}), file=out, flush=True)
        for _ in sys.stdin:
            print(json.dumps(step(settings["new_tokens"])), file=out, flush=True)


if __name__ == "__main__":
    serve()
