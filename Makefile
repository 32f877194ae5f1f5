# Everything runs in .venv, which is made when it is missing or when the dependencies change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow lint bench modes likelihood bits families zoo metrics doctor clean

demo: $(READY)  ## train a DCGAN on the embedded digits in two minutes
	$(BIN)/genlab train dcgan --data digits --minutes 2 --width 32 --batch-size 64 --preview-every 100 --evaluate-every 250

test: $(READY)  ## style, types, tests, the code blocks of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: $(READY)  ## what takes minutes
	$(BIN)/pytest -m slow

bench: $(READY)  ## the figures of docs/bench.md, anew
	$(BIN)/genlab bench --repeats 7 --write docs/bench.md

modes: $(READY)  ## which GANs reach every mode of a mixture; hours, goes on where it was stopped
	$(BIN)/python benchmarks/modes.py --results docs/results/modes.jsonl --seeds 3 --write docs/modes.md

likelihood: $(READY)  ## the likelihood of VAE and IWAE on binarised MNIST; three hours, goes on where it was stopped
	$(BIN)/python benchmarks/likelihood.py --results docs/results/likelihood.jsonl --write docs/likelihood.md

bits: $(READY)  ## the likelihood of flows and diffusion models; hours, goes on where it was stopped
	$(BIN)/python benchmarks/bits.py --runs runs/bits --results docs/results/bits.jsonl --write docs/bits.md

families: $(READY)  ## the families side by side under one budget; many hours, goes on where it was stopped
	$(BIN)/python benchmarks/families.py --runs runs/families --results docs/results/families.jsonl --write docs/families.md

zoo: $(READY)  ## every preset on the same pictures for the same time; hours, goes on where it was stopped
	$(BIN)/python benchmarks/zoo.py --results docs/results/zoo.jsonl --write docs/zoo.md

metrics: $(READY)  ## what each metric notices; DATA is a folder or zip of pictures in class folders
	$(BIN)/python benchmarks/metrics.py --data $(DATA) --write docs/metrics.md

doctor: $(READY)  ## runs that fail for a known reason, and healthy ones, shown to the doctor and treated; many hours
	$(BIN)/python benchmarks/doctor.py --runs runs/doctor --cures --logs --write docs/doctor.md

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genlab needs Python 3.11 or newer, not " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:  ## remove the environment and the caches, not the runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build src/*.egg-info
