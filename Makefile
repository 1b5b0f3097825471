# make demo | make test | make check | make campaign | make faults | make docs: each makes .venv and installs on its
# first run, and only then. make gallery writes the output and the pictures of the examples, README and docs anew.
# PYTHON chooses the interpreter (3.11 or newer), PIP_FLAGS is passed to every pip install.

PYTHON ?= python3
PIP_FLAGS ?=

VENV := .venv
RUN := $(VENV)/bin/python -m
LOCK := $(VENV)/constraints.txt
WHEEL := build/wheel
PAGES := gan_augment gan_augment.commands gan_augment.sklearn_api gan_augment.torch_api \
	gan_augment.metrics gan_augment.report.html gan_augment.evaluation.result \
	gan_augment.data.arrays gan_augment.errors gan_augment.recipes \
	gan_augment.training.callbacks

.PHONY: install demo test campaign faults faults-full mutants check lint wheel docs gallery clean
.DELETE_ON_ERROR:

install: $(VENV)/installed

demo: $(VENV)/installed
	$(RUN) gan_augment_cli demo

# Two processes; one that is done takes tests of the other.
test: $(VENV)/installed-dev
	$(RUN) pytest -q -n 2 --dist worksteal

# What is long and rarely breaks: browser, examples, notebook, the benchmark on tables.
campaign: $(VENV)/installed-dev
	$(RUN) pytest -q -m campaign tests examples/benchmarks/test_tables_protocol.py

# Kills, torn writes, full and read-only disks, two starts at one place, odd options: a sample, or the full counts.
faults: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(RUN) tools.faults

faults-full: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(RUN) tools.faults --full --out examples/benchmarks/faults.json

# Mutation testing: whether the tests notice small faults in a copy of the code.
mutants: $(VENV)/installed-dev
	$(VENV)/bin/python tools/mutants.py

check: lint test wheel

lint: $(VENV)/installed-dev
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports

# The wheel, tried from an empty folder: its own files first, everything else from .venv. setuptools
# would put modules that an earlier build left in build/lib into it, so that goes first.
wheel: $(VENV)/installed-dev
	rm -rf build
	mkdir -p $(WHEEL)/empty
	$(RUN) pip wheel $(PIP_FLAGS) --quiet --no-deps --wheel-dir $(WHEEL) .
	$(RUN) pip install $(PIP_FLAGS) --quiet --no-deps --target $(WHEEL)/site $(WHEEL)/*.whl
	cd $(WHEEL)/empty && export PYTHONPATH="$$PWD/../site" && \
		../site/bin/gan-augment --help && \
		../../../$(VENV)/bin/python ../../../tools/wheel_trial.py

# The reference of the public names, from their docstrings.
docs: $(VENV)/installed-dev
	$(VENV)/bin/python -W error -m pdoc --docformat numpy --no-show-source -o build/docs $(PAGES)

gallery: $(VENV)/installed-dev
	$(VENV)/bin/python examples/gallery.py
	$(VENV)/bin/python examples/document_pictures.py
	$(VENV)/bin/python examples/documents.py

clean:
	rm -rf $(VENV) build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A torch that is in .venv already is kept, whatever constraints.txt says of it.
$(LOCK): constraints.txt pyproject.toml | $(VENV)/bin/python
	@torch=$$($(RUN) pip list --format=freeze | grep '^torch==' || grep '^torch==' constraints.txt); \
	{ grep -v '^torch==' constraints.txt; echo "$$torch"; } > $@

$(VENV)/installed: $(LOCK)
	$(RUN) pip install $(PIP_FLAGS) --quiet -c $(LOCK) -e .
	@touch $@

$(VENV)/installed-dev: $(LOCK)
	$(RUN) pip install $(PIP_FLAGS) --quiet -c $(LOCK) -e '.[dev]'
	@touch $(VENV)/installed $@
