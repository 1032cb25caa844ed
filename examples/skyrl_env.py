"""An environment for SkyRL: rows of its data set, and the environment class that it registers by name.

    python examples/skyrl_env.py NodeAttribute train.parquet 1000

writes the rows. In the entry point of a training run (see SkyRL's tutorial on new environments), before its trainer starts:

    from skyrl_env import register
    register()

and `environment.env_class=ssl4rl` or the column `env_class` of the rows chooses it. SkyRL-gym's environments are text in,
text out, so graphs are what it can show; a question may take several answers ("attempts" in the rows).
"""

import json
import sys

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
from skyrl_gym.envs.registration import register as register_env
from skyrl_gym.envs.registration import registry

from ssl4rl_envs import make_task, rows
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.serving.episodes import Episodes, Question

NAME = "ssl4rl"


def register():
    """Make the environment known to SkyRL-gym, by a path that its workers can import."""
    if NAME not in registry:
        register_env(id=NAME, entry_point=f"{__name__}:SSL4RLEnv")


def data(env_id, count, split="train", seed=0, attempts=1, **arguments):
    """Questions as SkyRL reads them: the prompt, and where the question is from; what is right is not in them."""
    for row in rows(env_id, count, split=split, seed=seed, **arguments):
        if row["images"]:
            raise ValueError(f"{env_id} shows pictures, which SkyRL-gym's text environments cannot; take a graph task")
        origin = {name: row[name] for name in ("env_id", "args", "split", "seed", "index")}
        yield {
            "data_source": row["env_id"],
            "prompt": row["prompt"],
            "env_class": NAME,
            "reward_spec": {"method": "rule", "ground_truth": json.dumps(origin)},
            "extra_info": {**origin, "attempts": attempts},
        }


class SSL4RLEnv(BaseTextEnv):
    """One question, made again from its keys; a reply is scored as the environment scores it."""

    def __init__(self, env_config=None, extras=None):
        super().__init__()
        origin = (extras or {})["extra_info"]
        task = make_task(origin["env_id"], **json.loads(origin["args"]))  # built once a process
        self.max_turns = origin.get("attempts", 1)
        task = task if self.max_turns == 1 else Attempts(task, self.max_turns)
        self.episodes = Episodes(task, origin["split"])
        self.question = Question(origin["seed"], origin["index"])
        self.success = False

    def step(self, action):
        self.turns += 1
        (result,) = self.episodes.answer([self.question], [action])
        self.question, self.success = result.question, result.facts["success"]
        again = [] if self.question.ended else [{"role": "user", "content": result.observation["prompt"]}]
        return BaseTextEnvStepOutput(
            observations=again, reward=result.reward, done=self.question.ended, metadata=result.facts
        )

    def get_metrics(self):
        return {"success": float(self.success), "turns": self.turns}


if __name__ == "__main__":
    from datasets import Dataset

    name, path, count = sys.argv[1:4]
    Dataset.from_list(list(data(f"SSL4RL/{name}-v0", int(count)))).to_parquet(path)
