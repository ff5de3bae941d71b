# What there is to do in a checkout. Everything sets itself up; a second time costs nothing.

VENV	:= .venv
DRUPE	:= $(VENV)/bin/drupe
PYTHON	:= $(VENV)/bin/python
CODE	:= $(wildcard src tests bench tools)
SCRIPTS	:= .ci/run $(shell find tools tests bench -name '*.sh' 2>/dev/null)

.PHONY: help run test conformance lint man docs setup kernel clean
help:
	@echo 'make run         set up, build a kernel, run hello in a container'
	@echo 'make test        the tests'
	@echo 'make conformance what real programs do in a container: takes an hour or more'
	@echo 'make lint        ruff, mypy, shellcheck, checkpatch'
	@echo 'make bench-NAME  one benchmark: apps, density, image, memory, net, process, start, syscall; ARGS=... its options'
	@echo 'make docs        docs/cli.md, made of the verbs'
	@echo 'make man         man pages, in build/man'
	@echo 'make setup       only what the others depend on'
	@echo 'make clean       remove the virtual environment and what tests left'

run: setup
	@$(DRUPE) run --rm busybox sh -c 'echo "hello from $$(uname -sr)"'

test: setup
	$(PYTHON) -m pytest

conformance: setup
	$(PYTHON) -m pytest tests/conformance

lint: setup
	$(PYTHON) -m ruff check $(CODE)
	$(PYTHON) -m ruff format --check $(CODE)
	$(PYTHON) -m mypy
	shellcheck $(SCRIPTS)
	tools/checkpatch.sh

man: $(VENV)/.ready
	$(PYTHON) -m drupe.cli.manual man build/man

docs: $(VENV)/.ready
	$(PYTHON) -m drupe.cli.manual markdown docs/cli.md

bench-%: setup
	$(PYTHON) -m bench $* $(ARGS)

setup: kernel

# Costs a few hashes where the kernel is there already.
kernel: $(VENV)/.ready
	@$(DRUPE) kernel build >/dev/null

$(VENV)/.ready: tools/setup.sh pyproject.toml
	tools/setup.sh

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
