"""verifiers: the taskset of our questions, under the name of this file.

    vf-eval ssl4rl-taskset --env.taskset.env-id SSL4RL/PatchSwap-v0 --env.taskset.n 100 \
        --client.base-url http://localhost:8000/v1 -m MODEL --no-push

verifiers imports the file by its name, so run it in the folder where it lies, or with that folder on PYTHONPATH.
"""

from ssl4rl_envs.bridges.verifiers import EpisodeEnv, QuestionTaskset

__all__ = ["EpisodeEnv", "QuestionTaskset"]
