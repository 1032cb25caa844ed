#!/bin/sh
# networkx: graph6 numbers nodes in the order in which they were added, sparse6 in sorted order. A graph whose nodes are 0 to n-1
# but were added in another order comes back from graph6 with other edges, and from sparse6 with its own.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet networkx==3.6.1
"$folder/venv/bin/python" - <<'PY'
import networkx as nx

print("networkx", nx.__version__)
graph = nx.Graph([(0, 2), (2, 1), (1, 3)])  # added in the order 0, 2, 1, 3
back6 = nx.from_graph6_bytes(nx.to_graph6_bytes(graph, header=False).strip())
backs = nx.from_sparse6_bytes(nx.to_sparse6_bytes(graph, header=False).strip())
edges = {name: sorted(map(sorted, g.edges)) for name, g in (("given", graph), ("graph6", back6), ("sparse6", backs))}
for name, found in edges.items():
    print(f"{name:8} {found}")
assert edges["sparse6"] == edges["given"], "sparse6 changed"
assert edges["graph6"] == [[0, 1], [1, 2], [2, 3]] != edges["given"], "graph6 changed"
print("graph6 gave other edges between the same numbers; nodes in sorted order must be added first")
PY
