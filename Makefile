# make demo: set up everything, train a small VLM on real images, show what it learned.
# make test: set up everything, run the tests; make test-slow: the few that take long.
# make clients: run the tests of other libraries with those libraries; make clients GROUPS="llm serve": some of them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-slow clients lint format clean

setup: $(READY)

$(READY): setup.py pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -rf *.egg-info  # an old one would hide agents that setup.py has registered since
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/ssl4rl train SSL4RL/Rotation-v0 --source digits --iterations 50 --out runs/demo --overwrite

# One thread each: two test processes with two threads each would spend their time waiting for each other.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --quiet -m "not slow"

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --quiet -m slow

clients: $(READY)
	$(BIN)/python tests/clients/rerun.py $(GROUPS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .clients build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
