"""What tests of outside clients share with those of the environments."""

from __future__ import annotations

from tests.envs.conftest import same as same
