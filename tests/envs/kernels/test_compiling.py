"""Compiled loops that are kept on the disk: used again while all that they are compiled from is the same."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from ssl4rl_envs import kernels

compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled", exc_type=ImportError)

LOOP = """
from ssl4rl_envs.kernels.compiled import jit, part

@part
def doubled(value):
    return 2 * value

@jit
def loop(value):
    return doubled(value) + 1
"""


def test_what_is_kept_is_compiled_anew_when_another_file_has_changed(tmp_path, monkeypatch):
    """What a loop calls stands in other files, which numba does not look at."""
    path = tmp_path / "a_loop.py"
    path.write_text(LOOP)

    def compilations(sources: bytes) -> int:
        monkeypatch.setattr(compiled, "_SOURCES", sources)
        spec = importlib.util.spec_from_file_location("a_loop", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "a_loop", module)
        spec.loader.exec_module(module)
        assert module.loop(3) == 7
        return sum(module.loop.stats.cache_misses.values())

    assert [compilations(sources) for sources in (b"one", b"one", b"two", b"two")] == [1, 0, 1, 0]


LOADED = """
import sys
import numpy as np
from ssl4rl_envs import kernels
looks, neighbourhoods = (kernels.implementation(area, "numba") for area in ("looks", "neighbourhoods"))
misses = sum(sum(loop.stats.cache_misses.values()) for loop in (looks.differ, looks.lie_apart, neighbourhoods.sample))
lean = "numba.np.arraymath" not in sys.modules  # one of numba's versions of NumPy
import numba
total = numba.njit(lambda values: np.sort(values)[1:].sum() + np.linalg.norm(values))(np.array([3.0, 0.0, 4.0]))
kernels.implementation("tiles", "numba")
print(misses, lean, total)
"""


def test_what_was_compiled_is_loaded_without_what_compiles_and_something_else_can_be_compiled_then():
    for area in ("looks", "neighbourhoods", "tiles"):
        kernels.implementation(area, "numba")
    run = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "True", "12.0"]


def test_nothing_is_kept_in_the_package(monkeypatch, tmp_path):
    """A package manager would leave it behind, and what is left hides the package where it is installed next."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    drawn = compiled.jit(kernels.implementation("pictures", "numba").draw.py_func)
    place = Path(drawn._cache.cache_path)
    assert place.is_relative_to(tmp_path)
    assert place.parent == kernels.kept_in()
    assert kernels._mark("pictures").parent == kernels.kept_in()
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kernels.kept_in().parent == tmp_path / "cache" / "ssl4rl-kernels"
