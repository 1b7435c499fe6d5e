# inkstream: `make run` and `make test` need Python 3.11+ and make; everything lands in .venv.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
# The index that torch comes from unless pip's own configuration has a wheel at hand: see CONTRIBUTING.md.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# podman instead: make docker-test DOCKER=podman COMPOSE=docker-compose, DOCKER_HOST naming its socket
DOCKER ?= docker
COMPOSE ?= $(DOCKER) compose
DOCKER_BUILD ?=
ARGS ?=

# What `make run` says where PORT is not the usual one.
URL := $(if $(filter-out 8000,$(PORT)), --url ws://127.0.0.1:$(PORT))
NEXT_PORT = $(shell echo $$(( $(PORT) + 1 )))

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# A worker more than cores, since many tests wait, four at most, each computing in one thread; a file's
# tests stay together. A test that hangs ends its worker, and has failed.
WORKERS = $(shell echo $$(( $$(nproc) < 3 ? $$(nproc) + 1 : 4 )))
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile \
    -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
NPM_INSTALL := npm install --no-save --no-audit --no-fund --silent --prefix
# What generates clients needs TypeScript's older interface; later @hey-api/openapi-ts needs Node 22.
GENERATORS := 'typescript@^5.9' '@types/node@>=22' '@hey-api/openapi-ts@^0.95' openapi-fetch openapi-typescript
# What builds the client's examples in React, Vue and Svelte.
FRAMEWORKS := 'vite@^8.0' 'react@^19.0' 'react-dom@^19.0' '@types/react@^19.0' '@vitejs/plugin-react@^6.0' \
    'vue@^3.5' '@vitejs/plugin-vue@^6.0' 'svelte@^5.0' '@sveltejs/vite-plugin-svelte@^7.0' typescript
BASE := $(VENV)/.base-installed
FULL := $(VENV)/.full-installed
RAY_INSTALLED := $(VENV)/.ray-installed
AUDIT := $(VENV)/audit

.DEFAULT_GOAL := help
.PHONY: run lint check test test-ray bench hostile audit languages nets release docker docker-test clean help

# Another server on this port would answer in the place of ours, so the port must be free. Ours has a
# session of its own, so that Ctrl-C reaches it once, as the shell's one signal.
run: $(BASE) ## Start the server, watch it read a digit and a line, go on serving
	@if 2>/dev/null : </dev/tcp/127.0.0.1/$(PORT); then \
	    echo 'Port $(PORT) is taken by another program. Try: make run PORT=$(NEXT_PORT)' >&2; exit 1; \
	fi; \
	setsid $(BIN)/inkstream serve --port $(PORT) --log-level warning & server=$$!; \
	trap 'kill $$server 2>/dev/null' HUP INT TERM; \
	until 2>/dev/null : </dev/tcp/127.0.0.1/$(PORT); do \
	    kill -0 $$server 2>/dev/null || { wait $$server; exit; }; sleep 0.05; \
	done; \
	$(BIN)/inkstream stream examples/7.png --url ws://127.0.0.1:$(PORT); \
	$(BIN)/inkstream stream examples/hello.png --url ws://127.0.0.1:$(PORT); \
	printf '%s\n' '' \
	    'Serving on http://127.0.0.1:$(PORT) (Ctrl-C stops it). Try in another terminal:' \
	    '  $(BIN)/inkstream stream examples/3.png$(URL)       column by column, through the server' \
	    '  $(BIN)/inkstream stream examples/hello.png$(URL)' \
	    '  $(BIN)/inkstream recognize examples/?.png    whole images, without a server' \
	    '  curl --data-binary @examples/7.png -H "Content-Type: image/png" http://127.0.0.1:$(PORT)/v1/recognize' \
	    '  and open http://127.0.0.1:$(PORT) and write'; \
	wait $$server || wait $$server

lint: $(FULL)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict

check: lint ## Lint, check types, run the fast tests
	$(PYTEST) -m 'not slow and not hostile and not ray' $(ARGS)

test: lint ## Lint, check types, run all tests
	$(PYTEST) -m 'not hostile and not ray' $(ARGS)

test-ray: $(RAY_INSTALLED) # Run the tests on a cluster of Ray on this machine
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 0 -s -m ray tests/ray $(ARGS)

bench: $(FULL) ## Measure speed beside plain servers, and count writers
	folder=docs/reports/bench/$$($(BIN)/inkstream --version | cut -d' ' -f2); \
	measure() { $(BIN)/inkstream bench $$2 --json $$folder/$$1.json; }; \
	measure_and_draw() { measure $$1 "$$2 --plot $$folder/$$1.png"; }; \
	mkdir -p $$folder \
	&& measure_and_draw compare 'compare $(ARGS)' \
	&& measure_and_draw writers-lines 'writers' \
	&& measure_and_draw writers-lines-english 'writers --language english' \
	&& measure_and_draw writers-lines-columns 'writers --columns' \
	&& measure_and_draw writers-digits 'writers --model digits'

hostile: $(FULL) # Attack a server: each kind of attack, and for 15 minutes messages that are nearly right
	HOSTILE_S=$(or $(SECONDS),450) $(BIN)/pytest -n 0 -s tests/hostile $(ARGS)

# A package that PyPI's list cannot be asked about fails it too (--strict).
audit: $(AUDIT) # Look for known vulnerabilities of the versions in constraints.txt
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt $(ARGS)

# TEXTS is a folder of LANGUAGE.txt.xz, sentences of these sources.
LANGUAGES := french german spanish italian portuguese dutch danish norwegian swedish finnish
TEXTS ?= texts
TEXT_SOURCE := Common Voice (CC0), Tatoeba (CC BY 2.0), novels of ELTeC (public domain), Universal \
    Dependencies (CC BY-SA 4.0): sentences of those that have the language
COUNT = rm -f model/weights/$(1).ngrams && $(BIN)/inkstream train language --source '$(TEXT_SOURCE)' \
    --text $(TEXTS)/$(1).txt.xz --language $(1) --out model/weights/$(1).ngrams
languages: $(FULL) # Build the language models that are shipped, in six minutes, from TEXTS=FOLDER
	$(call COUNT,english) --text-weight 1 --most 1000000
	for language in $(LANGUAGES); do $(call COUNT,$$language) --most 200000 || exit; done

# After a stop it goes on: a run that has saved its state is resumed.
SOURCES ?= sources
nets: $(FULL) # Make both nets, in runs/, and the language models that are shipped, from SOURCES=FOLDER
	for net in digits lines; do \
	    resume=$$(find runs/$$net -name state.safetensors -printf --resume -quit 2>/dev/null); \
	    $(BIN)/inkstream train $$net --sources $(SOURCES) $$resume $(ARGS) || exit; \
	done
	$(MAKE) languages TEXTS=$(SOURCES)/texts

release: tools.release # Build the wheel and the source archive, with a bill of materials (SBOM) and digests
# Any tool: make tools.soak, tools.chaos, tools.simulate, tools.figures, tools.pad, tools.footprint ...
tools.%: $(FULL)
	$(BIN)/python -m $@ $(ARGS)

docker: # Build the container image
	$(DOCKER) build $(DOCKER_BUILD) --file docker/Dockerfile --tag inkstream .

docker-test: docker $(FULL) # Build the image, start it, stream ten digits, stop it
	DOCKER='$(DOCKER)' COMPOSE='$(COMPOSE)' $(BIN)/pytest tests/test_docker.py $(ARGS)

clean: # Remove what make installed
	rm -rf $(VENV)

# Targets with one # are for those who change inkstream: CONTRIBUTING.md and the documents name them.
help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  make %-12s %s\n' "$$name" "$$text"; done

$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inkstream needs Python 3.11 or newer: make PYTHON=...")'
	@echo 'Installing inkstream into $(VENV) (once)'
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable .
	@touch $@

# torch first and alone, so that its index serves nothing but torch.
$(FULL): $(BASE) service/web/client/package.json
	@echo 'Installing what training and tests need into $(VENV) (once)'
	@$(INSTALL) --no-deps --no-index torch 2>/dev/null \
	    || $(INSTALL) --no-deps --index-url $(TORCH_INDEX) torch
	@$(INSTALL) --editable '.[train,test,otel,files]'
	@if command -v npm >/dev/null; then $(NPM_INSTALL) $(VENV)/npm 'typescript@^7.0' '@types/node@>=22' \
	    'axe-core@>=4.10' || echo 'Types and accessibility of the web pages go unchecked'; fi
	@if command -v npm >/dev/null; then $(NPM_INSTALL) $(VENV)/generators $(GENERATORS) \
	    || echo 'Clients that are generated go unchecked'; fi
	@if command -v npm >/dev/null; then $(NPM_INSTALL) $(VENV)/frameworks $(FRAMEWORKS) \
	    || echo 'Examples in React, Vue and Svelte go unchecked'; fi
	@touch $@

$(RAY_INSTALLED): $(FULL)
	@echo 'Installing Ray into $(VENV) (once)'
	@$(INSTALL) --editable '.[ray]'
	@touch $@

$(AUDIT):
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip --disable-pip-version-check install --quiet pip-audit
