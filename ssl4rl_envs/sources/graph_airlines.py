"""Airports of the United States and the routes between them, from the package bokeh-sampledata."""

from __future__ import annotations

import csv
import gzip
from functools import cache

import numpy as np

from ssl4rl_envs.installing import install_line
from ssl4rl_envs.sources.graph_words import folder_of, options_of, with_words
from ssl4rl_envs.sources.graphs import GraphSource

EXTRA = "graphs"
PACKAGE, AIRPORTS, ROUTES = "bokeh_sampledata", "airports.csv", "routes.csv.gz"

SIZES = ("not large", "large")
"""What labels say of an airport."""

LEAST = 4
"""A word is a feature if at least so many airports have it; so each of a few groups of similar airports is in every split."""


@cache
def airlines(options: str = "") -> GraphSource:
    """Return which airports of the United States are joined by a route of some airline, in July 2026.

    From OurAirports and the U.S. Bureau of Transportation Statistics (public domain), as bokeh-sampledata 2026.1 (BSD-3)
    brings them: 9,161 routes of airlines between 352 of its 514 airports, which are 3,017 pairs; the other airports, which
    have no route, are left out and counted. A text is "Albuquerque International Sunport, Albuquerque, United States, 35N
    107W": name, city, country, and where it lies in whole degrees. Directions, airlines and how many fly are dropped. Labels:
    whether an airport is a large one, which no text says; names are its codes, ABQ.

    Args:
        options: "features=hashed" or nothing; see `with_words`.

    Raises:
        ImportError: the package is not installed, or an earlier version, which holds other routes.
        ValueError: an option is unknown, or a route leads to an airport that is not there.
    """
    given = options_of(options, ("features",), f"airlines?{options}")
    folder = folder_of(PACKAGE)
    if folder is None:
        raise ImportError(f"graph 'airlines' reads files of the package bokeh-sampledata: {install_line(EXTRA)}")
    data = folder / "_data"
    if not (data / ROUTES).is_file():
        raise ImportError(
            f"graph 'airlines' reads {ROUTES} of bokeh-sampledata 2026.1 or later, which is not in {data}: "
            f"{install_line(EXTRA)}"
        )
    with (data / AIRPORTS).open(encoding="utf-8", newline="") as lines:
        ports = list(csv.DictReader(lines))
    with gzip.open(data / ROUTES, "rt", encoding="utf-8", newline="") as lines:
        routes = [(row["SourceID"], row["DestinationID"]) for row in csv.DictReader(lines)]
    known = {port["AirportID"] for port in ports}
    lost = next((end for route in routes for end in route if end not in known), None)
    if lost is not None:
        raise ValueError(f"{data / ROUTES}: airport {lost} is not in {AIRPORTS}")
    used = {end for route in routes for end in route}
    kept = [port for port in ports if port["AirportID"] in used]
    number = {port["AirportID"]: node for node, port in enumerate(kept)}
    return with_words(
        "airlines",
        [(number[one], number[other]) for one, other in routes],
        [", ".join([port["Name"], port["City"], port["Country"], _place(port)]) for port in kept],
        given,
        LEAST,
        labels=np.array([port["Type"] == "large_airport" for port in kept], np.int64),
        names=np.array([port["IATA"] for port in kept]),
        left_out={"airports without a route": len(ports) - len(kept)},
    )


def _place(port: dict[str, str]) -> str:
    """Return where an airport lies, in whole degrees: "35N 107W"."""
    north, east = round(float(port["Latitude"])), round(float(port["Longitude"]))
    return f"{abs(north)}{'S' if north < 0 else 'N'} {abs(east)}{'W' if east < 0 else 'E'}"
