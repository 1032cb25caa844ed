#!/usr/bin/env bash
# Gymnasium's NumpyToTorch turns every string of an observation and of `info` into "<generator object ...>", without a warning:
# it converts a str as it does any other iterable. A mission of MiniGrid's, say, is lost. The vector wrapper raises instead.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/pip install --quiet gymnasium==1.4.0 array-api-compat==1.16.0 numpy==2.4.6 packaging==26.3 torch==2.13.0
venv/bin/python - <<'PY'
import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import NumpyToTorch


class Told(gym.Env):
    observation_space = spaces.Dict({"mission": spaces.Text(40)})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"mission": "go to the red ball"}, {"said": "hello"}


shown, info = NumpyToTorch(Told()).reset(seed=0)
print("gymnasium", gym.__version__)
print("observation:", shown)
print("info:", info)
assert shown["mission"].startswith("<generator object"), shown
assert info["said"].startswith("<generator object"), info
PY
