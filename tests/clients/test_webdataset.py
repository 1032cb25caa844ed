"""Exported tar shards as webdataset reads them (webdataset 1.0.2)."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_envs import rows, score
from ssl4rl_envs.bridges.exports import Plan, export

DIGITS = {"source": "digits", "image_size": 36}


def test_webdataset_reads_questions_in_their_order_with_their_pictures(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    export(Plan("SSL4RL/FlipPrediction-v0", 5, "webdataset", shard_size=2, arguments=DIGITS), tmp_path)
    shards = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    assert len(shards) == 3
    read = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    for sample, row in zip(read, rows("SSL4RL/FlipPrediction-v0", 5, **DIGITS), strict=True):
        assert sample["json"] == {name: value for name, value in row.items() if name != "images"}
        for place, picture in enumerate(row["images"]):
            np.testing.assert_array_equal(np.asarray(sample[f"{place}.png"]), np.asarray(picture))
        reply = f"<answer>{sample['json']['answer']}</answer>"
        assert score(row["env_id"], reply, index=sample["json"]["index"], **DIGITS)[0]["reward"] == 1
