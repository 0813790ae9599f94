# Two commands do everything on a machine with Python 3.11+ and pip:  make demo,  make test

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# aws-cli pins a botocore of its own, so it lives apart from ours.
AWSCLI := .venv-awscli

# How long or how much; make soak MINUTES=60, make fuzz INPUTS=10000000.
MINUTES  ?= 10
KILLS    ?= 100
EACH     ?= 30
INPUTS   ?= 1000000
REQUESTS ?= 20000

.PHONY: help demo peers test check format docs chaos soak fuzz attacks bench clean

help:
	@echo "make demo    watch it recognise faces: no account, no GPU, half a minute"
	@echo "make test    run every test"
	@echo "make peers   install what some tests talk to: a browser, a broker, an RTSP server (Debian, root)"
	@echo "make check   ruff and mypy --strict"
	@echo "make format  let ruff format and sort"
	@echo "make docs    the documentation as a site, in dist/site"
	@echo "make chaos   break everything on purpose and count what is lost (half an hour)"
	@echo "make soak    eight processors for MINUTES=10, and what they leave behind"
	@echo "make fuzz    a million damaged inputs, and 20,000 requests (ten minutes)"
	@echo "make attacks what each attack on a guarded daemon gets, as a table"
	@echo "make bench   measure everything against the plain loop (an hour, on a quiet machine)"
	@echo "make clean   remove what the others made"

demo: $(VENV)/.demo
	@$(BIN)/streamproc demo

# Debian packages of programs that tests run as independent peers; without one, its tests are
# skipped and say so.
PEERS := chromium fonts-dejavu-core mosquitto mosquitto-clients prometheus python3-gi \
         gir1.2-gst-rtsp-server-1.0 gstreamer1.0-rtsp gstreamer1.0-tools \
         gstreamer1.0-plugins-good gstreamer1.0-plugins-bad

peers:
	@apt-get update --quiet=2
	@DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $(PEERS)

test: $(VENV)/.test $(AWSCLI)/.installed
	@$(BIN)/python -m pytest

check: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.test
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.test
	@$(BIN)/python -m mkdocs build --strict --quiet --config-file config/mkdocs.yml
	@echo "dist/site/index.html"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "streamproc needs Python 3.11 or newer; try: make PYTHON=python3.11 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.python
	@echo "Installing into $(VENV) (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[offline]'
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.python
	@echo "Installing into $(VENV), tests included (once; a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.demo

$(AWSCLI)/.installed: $(VENV)/.python
	@echo "Installing aws-cli into $(AWSCLI) (once) ..."
	@$(PYTHON) -m venv $(AWSCLI)
	@$(AWSCLI)/bin/python -m pip install --quiet --disable-pip-version-check awscli
	@touch $@

chaos: $(VENV)/.test
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --each $(EACH)

soak: $(VENV)/.test
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

fuzz: $(VENV)/.test
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --requests $(REQUESTS)

attacks: $(VENV)/.test
	@$(BIN)/python -m tests.end_to_end.attacks

bench: $(VENV)/.test
	@$(BIN)/python -m benchmarks.pipeline --jobs
	@$(BIN)/python -m benchmarks.scale --views street,one,eight,none
	@$(BIN)/python -m benchmarks.start
	@$(BIN)/python -m benchmarks.search
	@$(BIN)/python -m benchmarks.recognition
	@$(BIN)/python -m benchmarks.targets --write
	@$(BIN)/python -m benchmarks.curves

clean:
	rm -rf $(VENV) $(AWSCLI) demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
