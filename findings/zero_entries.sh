#!/bin/sh
# scipy and networkx: an edge that is taken out of a sparse adjacency matrix by `matrix[i, j] = 0` stays stored, and networkx and
# scipy's own graph routines keep it as an edge of weight 0. A held-out edge, removed so, is still in the graph that is built.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet networkx==3.6.1 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import networkx as nx
import scipy
import scipy.sparse
from scipy.sparse.csgraph import connected_components

print("networkx", nx.__version__, "scipy", scipy.__version__)
matrix = nx.to_scipy_sparse_array(nx.path_graph(4), dtype=float)  # 0 - 1 - 2 - 3
matrix[1, 2] = matrix[2, 1] = 0  # hold out the edge in the middle
print(f"entries stored {matrix.nnz}, not zero {matrix.count_nonzero()}")
for form, graph, parts in (
    ("sparse", nx.from_scipy_sparse_array(matrix), connected_components(matrix)[0]),
    ("dense", nx.from_numpy_array(matrix.toarray()), connected_components(matrix.toarray())[0]),
):
    print(f"{form:6} networkx {sorted(graph.edges)}, scipy: {parts} components")
    assert graph.has_edge(1, 2) == (form == "sparse"), "networkx changed"
    assert parts == (1 if form == "sparse" else 2), "scipy changed"
matrix.eliminate_zeros()
assert not nx.from_scipy_sparse_array(matrix).has_edge(1, 2) and connected_components(matrix)[0] == 2
print("the edge is gone from the dense matrix only; matrix.eliminate_zeros() takes it out of the sparse one")
PY
