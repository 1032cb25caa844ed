"""Packaging of SSL4RL: one distribution, three packages.

The folders agents/ and benchmarks/ are not packages themselves. A wheel that installs top-level packages named `agents` and
`benchmarks` would overwrite, or be overwritten by, everybody else's packages of those names; so each folder holds a package
whose import name is ours alone: `ssl4rl_agents` and `ssl4rl_benchmarks`.
"""

from setuptools import find_packages, setup

AGENTS = [
    "accelerate>=1.10",
    "jinja2>=3",
    "matplotlib>=3.9",
    "peft>=0.17",
    "rich>=13",
    "safetensors>=0.5",
    "stable-baselines3>=2.7",
    "tensorboard>=2.17",
    "torch>=2.6",
    "torch-geometric>=2.6",
    "transformers>=5.23",  # 5.10 has not what the built-in model's configuration is made of
]
BENCH = [
    "arch<8",  # what rliable draws bootstraps with; it breaks with pandas 3
    "jinja2>=3",
    "pandas<3",
    "rliable>=1.2",
    "sb3-contrib>=2.7",
]
DATA = ["datasets>=3", "pyarrow>=15"]  # sources "parquet:PATH" need the latter alone, "hf:PATH" both
ENDPOINT = ["httpx2>=2.16", "jinja2>=3"]  # models behind an endpoint, and the leaderboard's page
CONSTRAINED = ["llguidance>=1.9"]  # replies that obey a grammar
GRAPHS = ["bokeh-sampledata>=2026.1"]  # the source "airlines"
MINARI = ["minari[hdf5]>=0.5.4"]
DEEPSPEED = ["deepspeed>=0.19"]
RAY = ["ray>=2.40"]
SERVE = ["starlette>=0.40", "uvicorn>=0.35", "websockets>=15"]
DEV = [
    "array-api-compat>=1.12",  # what Gymnasium's wrappers make tensors by
    "hypothesis>=6.100",
    "jsonschema>=4.20",
    "mypy>=1.15",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "ruff>=0.9",
    "webdataset>=1",
]

setup(
    packages=[
        *find_packages(".", include=["ssl4rl_envs", "ssl4rl_envs.*"]),
        *find_packages("agents", include=["ssl4rl_agents", "ssl4rl_agents.*"]),
        *find_packages("benchmarks", include=["ssl4rl_benchmarks", "ssl4rl_benchmarks.*"]),
    ],
    package_dir={
        "ssl4rl_envs": "ssl4rl_envs",
        "ssl4rl_agents": "agents/ssl4rl_agents",
        "ssl4rl_benchmarks": "benchmarks/ssl4rl_benchmarks",
    },
    install_requires=[
        "gymnasium>=1.2",
        "ImageHash>=4.3",
        "networkx>=3.2",
        "numba>=0.61",
        "numpy>=1.26",
        "pillow>=10.1",
        "scikit-image>=0.24",
        "scikit-learn>=1.5",
        "scipy>=1.11",
        "typing-extensions>=4.4",
        "tyro>=0.9",
    ],
    extras_require={
        "all": [*AGENTS, *ENDPOINT],
        "bench": BENCH,
        "constrained": CONSTRAINED,
        "data": DATA,
        "dev": [*DEV, *DATA, *BENCH, *CONSTRAINED, *DEEPSPEED, *MINARI, *RAY, *SERVE],
        "deepspeed": DEEPSPEED,
        "endpoint": ENDPOINT,
        "graphs": GRAPHS,
        "minari": MINARI,
        "ray": RAY,
        "reasoning-gym": ["reasoning-gym>=0.1.25"],
        "serve": SERVE,
        "trl": ["trl>=1.16", "datasets>=4"],  # List and Image as features
        "verifiers": ["verifiers>=0.4"],
        "verl": ["verl>=0.9", *DATA],
    },
    entry_points={
        "console_scripts": ["ssl4rl = ssl4rl_benchmarks.cli:main"],
        "ssl4rl.agents": [
            "random = ssl4rl_agents.baselines:RandomAgent",
            "constant = ssl4rl_agents.baselines:ConstantAgent",
            "oracle = ssl4rl_agents.baselines:OracleAgent",
            "rule = ssl4rl_agents.rules.rule_agent:RuleAgent",
            "sb3-ppo = ssl4rl_agents.sb3:PPO",
            "sb3-a2c = ssl4rl_agents.sb3:A2C",
            "sb3-dqn = ssl4rl_agents.sb3:DQN",
            "sb3-sac = ssl4rl_agents.sb3:SAC",
            "sb3-trpo = ssl4rl_agents.sb3:TRPO",
            "sb3-qrdqn = ssl4rl_agents.sb3:QRDQN",
            "sb3-maskable-ppo = ssl4rl_agents.sb3:MaskablePPO",
            "sb3-supervised = ssl4rl_agents.sb3:Supervised",
            "nano-ppo = ssl4rl_agents.trainer_agents:NanoPPO",
            "nano-grpo = ssl4rl_agents.trainer_agents:NanoGRPO",
            "nano-rloo = ssl4rl_agents.trainer_agents:NanoRLOO",
            "nano-reinforce++ = ssl4rl_agents.trainer_agents:NanoReinforce",
            "nano-supervised = ssl4rl_agents.trainer_agents:NanoSupervised",
            "gcn-ppo = ssl4rl_agents.trainer_agents:GCNPPO",
            "gcn-grpo = ssl4rl_agents.trainer_agents:GCNGRPO",
            "gin-grpo = ssl4rl_agents.trainer_agents:GINGRPO",
            "gcn-supervised = ssl4rl_agents.trainer_agents:GCNSupervised",
            "sage-ppo = ssl4rl_agents.trainer_agents:SAGEPPO",
            "sage-supervised = ssl4rl_agents.trainer_agents:SAGESupervised",
            "gat-ppo = ssl4rl_agents.trainer_agents:GATPPO",
            "gat-supervised = ssl4rl_agents.trainer_agents:GATSupervised",
            "gin-ppo = ssl4rl_agents.trainer_agents:GINPPO",
            "gin-supervised = ssl4rl_agents.trainer_agents:GINSupervised",
        ],
    },
)
