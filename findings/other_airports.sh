#!/bin/sh
# bokeh-sampledata: version 2026.1 holds other airports and routes under the old names, and the number of an airport names another
# one in it. A table that was joined by AirportID, or a graph that is known by the package's name alone, is silently another.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$folder/2025.0" bokeh-sampledata==2025.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$folder/2026.1" bokeh-sampledata==2026.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import csv
import sys
from pathlib import Path


def airports(version):
    with (Path(sys.argv[1]) / version / "bokeh_sampledata" / "_data" / "airports.csv").open(encoding="utf-8") as lines:
        return {row["AirportID"]: row["IATA"] for row in csv.DictReader(lines)}


old, new = airports("2025.0"), airports("2026.1")
both = old.keys() & new.keys()
changed = [number for number in both if old[number] != new[number]]
print(f"airports: {len(old)} in 2025.0, {len(new)} in 2026.1; {len(both)} numbers stand in both, {len(changed)} for another airport")
print("e.g.", ", ".join(f"{number} was {old[number]} and is {new[number]}" for number in sorted(changed)[:3]))
assert (len(old), len(new)) == (1435, 514), "the data changed"
assert len(changed) > 200, "numbers are kept now"
PY
