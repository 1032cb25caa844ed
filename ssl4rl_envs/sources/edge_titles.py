"""What headers call the columns of edges, in small letters and without signs."""

from __future__ import annotations

import re
from collections.abc import Sequence

PAIRS = (
    ("source", "target"),
    ("sourceid", "targetid"),
    ("sourcenode", "targetnode"),
    ("src", "dst"),
    ("src", "dest"),
    ("srcid", "dstid"),
    ("from", "to"),
    ("fromid", "toid"),
    ("fromnode", "tonode"),
    ("fromnodeid", "tonodeid"),
    ("node1", "node2"),
    ("nodea", "nodeb"),
    ("node1id", "node2id"),
    ("nodeid1", "nodeid2"),
    ("id1", "id2"),
    ("name1", "name2"),
    ("person1", "person2"),
    ("user1", "user2"),
    ("vertex1", "vertex2"),
    ("protein1", "protein2"),
    ("gene1", "gene2"),
    ("author1", "author2"),
    ("head", "tail"),
    ("subject", "object"),
    ("origin", "destination"),
    ("sender", "receiver"),
    ("parent", "child"),
    ("citing", "cited"),
    ("follower", "followee"),
    ("rater", "ratee"),
    ("user", "friend"),
    ("userid", "friendid"),
    ("node", "neighbor"),
    ("node", "neighbour"),
    ("node", "parent"),
    ("nodeid", "parentid"),
    ("id", "parent"),
    ("id", "parentid"),
    ("start", "end"),
    ("row", "column"),
    ("row", "col"),
    ("u", "v"),
    ("i", "j"),
    ("a", "b"),
    ("p", "q"),
)
"""Names of the two ends of an edge."""

KINDS = (
    ("user", "item"),
    ("userid", "itemid"),
    ("user", "movie"),
    ("userid", "movieid"),
    ("user", "product"),
    ("userid", "productid"),
    ("customer", "product"),
    ("customerid", "productid"),
    ("author", "paper"),
    ("authorid", "paperid"),
    ("actor", "movie"),
    ("person", "group"),
)
"""Names of the two ends where nodes are of two kinds."""

INDEX = re.compile(r"|index|idx|no|nr|level0|unnamed\d*|row|rowid|rownum|rownumber|rownames")
"""Names of columns that tell rows apart; that of pandas is empty."""

VALUES = re.compile(
    "weights?|w|values?|score|similarity|distance|length|cost|capacity|counts?|freq|frequency|strength|ratings?|stars|sign|"
    "times?|timestamps?|ts|date|datetime|year|month|day|hour|start|end|duration|types?|labels?|kind|relation|rel|predicate|"
    "depth|level|rank|edge|edgeid|edgetype|linkid|eid|colou?r|comments?|notes?"
)
"""Names of columns that tell something of an edge."""


def plain(cell: str) -> str:
    """Return a title in small letters and without signs."""
    return re.sub(r"[\W_]+", "", cell).lower()


def named_pair(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the columns of the first of `PAIRS` and `KINDS` that titles hold, None where they hold none."""
    return next(((names.index(a), names.index(b)) for a, b in (*PAIRS, *KINDS) if a in names and b in names), None)
