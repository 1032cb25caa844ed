"""A task of lmms-eval: its YAML, the functions that this names, and the data."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from ssl4rl_envs.bridges.exports.columns import Parquet
from ssl4rl_envs.bridges.exports.files import write_text

YAML = """\
# {env_id} as a task of lmms-eval:
#   lmms-eval --model ... --include_path FOLDER --tasks {task}
task: {task}
dataset_path: parquet
dataset_kwargs: !function utils.DATA  # the files beside this one, wherever the folder lies
test_split: {split}
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: {tokens}
  do_sample: false
  until: []  # the default, an empty line, would cut replies
metric_list:
{metrics}
metadata:
  version: 1.0
"""

UTILS = '''\
"""What the task's YAML names: replies are scored by ssl4rl_envs, from the keys of their question."""

import json
from pathlib import Path

from ssl4rl_envs import score

DATA = {{"data_files": {{"{split}": str(Path(__file__).parent / "data" / "*.parquet")}}}}


def doc_to_visual(doc):
    return [picture.convert("RGB") for picture in doc["images"]]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    return doc["prompt"][0]["content"]


def process_results(doc, results):
    keys = {{"split": doc["split"], "seed": doc["seed"], "index": doc["index"], **json.loads(doc["args"])}}
    (strict,) = score(doc["env_id"], results[:1], prompt_style="{prompt_style}", **keys)
    (lenient,) = score(doc["env_id"], results[:1], prompt_style="{prompt_style}", grammar="lenient", **keys)
    return {{
        "reward": strict["reward"],
        "success": float(strict["success"]),
        "valid": float(strict["valid"]),
        "lenient_reward": lenient["reward"],
        "lenient_success": float(lenient["success"]),
    }}
'''

METRICS = ("reward", "success", "valid", "lenient_reward", "lenient_success")
TOKENS = {"direct": 64, "think": 2048, "tool": 64}


class LmmsEval(Parquet):
    """A folder for ``lmms-eval --include_path FOLDER``; replies are read by the strict grammar and by the lenient one."""

    reading = "lmms-eval --include_path {folder} --tasks {name}"

    @override
    def finish(self, folder: Path) -> list[str]:
        task, style = self.plan.name, self.prompt_style
        metrics = "\n".join(f"  - metric: {each}\n    aggregation: mean\n    higher_is_better: true" for each in METRICS)
        known = {"env_id": self.plan.env_id, "task": task, "split": self.plan.split, "prompt_style": style}
        write_text(folder / f"{task}.yaml", YAML.format(**known, tokens=TOKENS[style], metrics=metrics))
        write_text(folder / "utils.py", UTILS.format(**known))
        return [f"{task}.yaml", "utils.py"]
