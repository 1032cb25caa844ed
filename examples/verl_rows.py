"""verl: write the training and validation rows, the agent loop's configuration, and say how to train on them.

python examples/verl_rows.py rotation SSL4RL/Rotation-v0
python examples/verl_rows.py swaps SSL4RL/PatchSwap-v0
"""

import sys
from pathlib import Path

from ssl4rl_envs.bridges.verl import write_parquet

LOOP = "- name: ssl4rl\n  _target_: ssl4rl_envs.bridges.verl_loop.agent_loop\n"


def write(folder, env_id, train=10_000, validation=500, **given):
    """Write rows of an environment to a folder; return verl's settings that use them, one a line."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    loop = folder / "agent_loop.yaml"
    loop.write_text(LOOP)
    rows = [
        write_parquet(folder / f"{split}.parquet", env_id, n, split=split, **given)
        for split, n in (("train", train), ("validation", validation))
    ]
    return [
        f"data.train_files={rows[0]}",
        f"data.val_files={rows[1]}",
        "reward.custom_reward_function.path=pkg://ssl4rl_envs.bridges.verl",
        "reward.custom_reward_function.name=compute_score",
        f"actor_rollout_ref.rollout.agent.agent_loop_config_path={loop}",
    ]


if __name__ == "__main__":
    print("python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo actor_rollout_ref.model.path=MODEL \\")
    print(" \\\n".join(f"  {line}" for line in write(*sys.argv[1:3])))
