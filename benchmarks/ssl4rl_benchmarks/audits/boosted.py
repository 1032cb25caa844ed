"""An attacker of image tasks that learns: boosted trees over all that can be measured of pictures without understanding them.

They see everything of `features` at once, and find what a line through one kind misses. Of a choice they judge each part
beside the others.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.ensemble import HistGradientBoostingClassifier

from ssl4rl_benchmarks.audits.features import Table
from ssl4rl_envs import Task


def learn_choice(known: Table, right: NDArray[np.int64], asked: Table) -> NDArray[np.int64]:
    """Learn which of several parts is the right one; return the likeliest of others, (m,).

    Args:
        known, asked: (n, parts, features) and (m, parts, features).
        right: (n,) the right part of each.
    """
    known, asked = (np.concatenate([table, table - table.mean(axis=1, keepdims=True)], axis=2) for table in (known, asked))
    labels = np.arange(known.shape[1]) == right[:, None]
    model = _trees().fit(known.reshape(-1, known.shape[2]), labels.ravel())
    likely = model.predict_proba(asked.reshape(-1, asked.shape[2]))[:, 1].reshape(asked.shape[:2])
    return np.asarray(likely.argmax(axis=1), np.int64)


def learn_answers(
    known: Table, answers: NDArray[np.int64], asked: Table, offered: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Learn answers (n,) from tables (n, features); return those of other tables, (m,), of what they offer, (m, answers)."""
    model = _trees().fit(known, answers)
    if offered is None:
        return np.asarray(model.predict(asked), np.int64)
    likely = np.where(offered[:, model.classes_], model.predict_proba(asked), -1.0)
    return np.asarray(model.classes_[likely.argmax(axis=1)], np.int64)


def learn_order(known: Table, right: NDArray[np.int64], asked: Table) -> NDArray[np.int64]:
    """Learn where in an order parts belong, by themselves and beside the first part; return the likeliest orders, (m, slots).

    Args:
        known, asked: (n, parts, features) and (m, parts, features); where there are more parts than slots, the first part's
            place is known.
        right: (n, slots) which part belongs in each slot.
    """
    slots = right.shape[1]
    rows = [
        np.concatenate([table, table - table[:, :1], np.abs(table - table[:, :1])], axis=2)[:, -slots:]
        for table in (known, asked)
    ]
    model = _trees().fit(rows[0].reshape(-1, rows[0].shape[2]), np.argsort(right, axis=1).ravel())
    likely = model.predict_proba(rows[1].reshape(-1, rows[1].shape[2])).reshape(len(asked), slots, -1)
    places = np.stack([linear_sum_assignment(-np.log(chances + 1e-9))[1] for chances in likely])
    return np.asarray(np.argsort(places, axis=1), np.int64)


def names_a_part(task: Task, parts: int) -> bool:
    """Return whether an answer to the task names one of so many parts that it shows."""
    return isinstance(task.action_space, spaces.Discrete) and int(task.action_space.n) == parts


def _trees() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, min_samples_leaf=20, random_state=0)
