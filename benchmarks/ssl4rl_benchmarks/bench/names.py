"""Names of what is measured beside the task of training; they are all that a grid or a call says of it.

- ``task:FlipPrediction``: the normalised score in that environment, without any training in it. Its pictures are those of
  the environment of training. Of a mixture that has the task among its own, it is what the mixture scores when it asks
  nothing else; a mixture may show a blank second picture, which the task on its own does not.
- ``task:EdgePrediction over sbm:1000``: the same over another graph, or other pictures. The environment of training has its
  own arguments there too, but for the source.
- ``probe:digits@10``: the accuracy of logistic regression on the network's features of pictures, with 10 labels a class;
  ``digits`` (which digit), or of the scenes of training ``sky``, ``ground`` and ``light``. Means over draws of labels.
- ``whole:digits@10``, ``quarters:folder:PATH@10``: the same of pictures that were never trained on, whose labels are those
  of others; features are averaged over the whole picture, or over each quarter. See `towers`.
- ``nodes:cora@20``: the same over the nodes of a graph, by the protocol of `ssl4rl_benchmarks.figures.transfer`. A graph
  network is run over the whole graph of train edges; a reader of words reads each node's neighbourhood. See `nodes` and
  `readers`.
- ``links:cora``, ``distance:cora``: how well the model's own answers tell which nodes are joined (the area under the ROC
  curve), and how many edges lie between two (right answers). ``links:cora@250``, ``distance:cora@250``: the same by a probe
  of what the frozen model makes of questions, with 250 lessons of each answer. See `graph_questions`.

Features of pictures are what the vision tower and its connector give, standardised; those of ``probe:`` are averaged over all
patches. What measures is `probes`; nothing here needs a network.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssl4rl_envs.registration import env_id_of

OVER = " over "
"""Stands between a task and another graph, or other pictures, that it is asked about."""

TASK, NODES, PROBE, LINKS, DISTANCE = "task", "nodes", "probe", "links", "distance"

CELLS = {"whole": 1, "quarters": 2}
"""Over how many parts of a side features of pictures are averaged."""

OF_QUESTIONS = (LINKS, DISTANCE)
"""What a model may answer by itself."""

KINDS = (TASK, NODES, *OF_QUESTIONS, PROBE, *CELLS)
KNOWN = (
    "there are task:NAME, task:NAME over SOURCE, of graphs nodes:GRAPH@COUNT, links:GRAPH, links:GRAPH@COUNT, "
    "distance:GRAPH, distance:GRAPH@COUNT, and of pictures probe:LABELS@COUNT, whole:CLASSES@COUNT and "
    "quarters:CLASSES@COUNT"
)


@dataclass(frozen=True)
class Name:
    """The name of a measurement, taken apart.

    Args:
        kind: one of `KINDS`.
        what: is asked about: an environment, a graph, labels or classes.
        count: of labels of each class, or of lessons of each answer; 0 where the model answers by itself.
        source: that an environment is asked over; empty for that of training.
    """

    kind: str
    what: str
    count: int = 0
    source: str = ""


def name_of(written: str) -> Name:
    """Take a name apart.

    Raises:
        ValueError: there is no such measurement, or it takes a count and has none.
    """
    kind, _, rest = written.partition(":")
    if kind not in KINDS or not rest:
        raise ValueError(f"no measurement {written!r}; {KNOWN}")
    if kind == TASK:
        what, _, source = rest.partition(OVER)
        env_id_of(what)
        return Name(kind, what, source=source)
    what, at, count = rest.rpartition("@")
    if at and count.isdecimal() and int(count) and what:
        return Name(kind, what, int(count))
    if kind in OF_QUESTIONS and not (at and count.isdecimal()):
        return Name(kind, rest)
    raise ValueError(f"measurement {written!r} takes a count of labels or lessons, at least 1, behind @, e.g. nodes:cora@20")
