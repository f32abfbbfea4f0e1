# The book's commands; `make help` lists them.

# A Python 3.11, 3.12 or 3.13. Left empty, the first of these that is installed is taken.
PYTHON  ?=
PYTHONS  = 3.13 3.12 3.11
VENV    ?= .venv
OUT     ?= .
PORT    ?= 8000
UV       = 0.13.9
UPGRADE ?= --upgrade
# more options for JupyterLab, such as --no-browser or --allow-root
LAB     ?=

BIN   = $(VENV)/bin
STAMP = $(VENV)/.installed
HTML  = $(OUT)/_build/html

.DEFAULT_GOAL = help
.PHONY: help setup book test test-fast lint data wheel lab serve picture bench lock clean

help:
	@echo 'make book     build the book: install what it needs, run every chapter, write the pages'
	@echo 'make test     run the tests'
	@echo 'make test-fast    those that need neither a browser nor the built book, in a minute'
	@echo 'make lint     style and types, as CI checks them'
	@echo 'make data     download the measured tilt series (56 MB), hashes checked'
	@echo 'make wheel    build the package hebt alone, into dist/'
	@echo 'make lab      open the chapters as notebooks in JupyterLab'
	@echo 'make serve    show the built pages at http://127.0.0.1:$(PORT)'
	@echo 'make bench    compare speed and memory with other reconstruction codes'
	@echo 'make picture  draw the picture in README.md again'
	@echo 'make lock     renew requirements.lock from requirements.in (UPGRADE= keeps what fits)'
	@echo 'make clean    remove the built pages and caches (.venv stays)'
	@echo
	@echo 'HEBT_FIDELITY=quick make book    the same with small sizes, in a few minutes'
	@echo 'make book PYTHON=python3.12      use that Python for .venv'

setup: $(STAMP)

# Always a fresh .venv: an installation that was interrupted, or one from an older lock, leaves
# packages behind that pip takes for complete. The stamp comes last, so only a whole one counts.
$(STAMP): requirements.lock pyproject.toml
	@found=; for python in $(or $(PYTHON),python3 $(PYTHONS:%=python%)); do \
	  if "$$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv)' \
	    $(PYTHONS) 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'The book needs Python 3.11, 3.12 or 3.13, and found none as' \
	    '$(or $(PYTHON),python3$(PYTHONS:%=, python%)).' >&2; \
	  echo 'Found: '"$$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)" >&2; \
	  echo 'Install one of them, or say where it is: make book PYTHON=/path/to/python3.12' >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found has no venv module, so it cannot make $(VENV)." >&2; \
	  echo 'On Debian or Ubuntu: sudo apt install python3-venv. Then run make again.' >&2; \
	  exit 1; \
	fi; \
	echo "[1/3] Making $(VENV) with $$("$$found" --version) ($$found)"; \
	"$$found" -m venv --clear $(VENV)
	@echo '[2/3] Installing the packages of requirements.lock, hashes checked'
	@echo '      (the first time about 600 MB are downloaded; 1.8 GB on disk)'
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes \
	  -r requirements.lock || { echo 'The installation failed; see the message above. Run the' \
	  'same command again when the cause is gone.' >&2; exit 1; }
	@echo '[3/3] Installing hebt, and compiling its projector'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps \
	  --no-build-isolation -e .
	@$(BIN)/python -c 'import hebt, numpy as np; W = hebt.Projector([0, 60], 8); \
	  p = np.ones((1, 2, 1, 8)); hebt.reconstruct(W, p[0], p, [1.0], iterations=1)'
	@touch $@

book: $(STAMP)
	@echo 'Building the book at $(or $(HEBT_FIDELITY),paper) fidelity: every chapter runs.'
	@rm -rf $(HTML)
	@$(BIN)/jupyter-book build . --path-output $(OUT) --all -W -n --keep-going
	@echo 'The pages are ready: open $(abspath $(HTML))/index.html in a browser.'

# Three processes, a file at a time each: one of them waits for the book most of the time.
test: $(STAMP)
	@echo 'Running the tests (the book at quick fidelity is one of them; a few minutes).'
	@'$(BIN)/python' -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-fast: $(STAMP)
	@'$(BIN)/python' -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder \
	  -m 'not slow and not browser and not book'

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

data: $(STAMP)
	@PYTHONPATH=book '$(BIN)/python' -m companion.datasets fetch dust

wheel: $(STAMP)
	@$(BIN)/python -m build --no-isolation --outdir dist

lab: $(STAMP)
	@echo 'Opening JupyterLab; a chapter is a .md file in book/. Stop it with Ctrl-C.'
	@JUPYTER_CONFIG_DIR='$(CURDIR)/.jupyter' $(BIN)/python -m jupyterlab \
	  --LabApp.default_url=/lab/tree/book/intro.md $(LAB)

serve: $(STAMP)
	@[ -f $(HTML)/index.html ] || $(MAKE) book
	@echo 'The pages are at http://127.0.0.1:$(PORT) until you press Ctrl-C.'
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(HTML) $(PORT)

picture: $(STAMP)
	@echo 'Running the phantom study at $(or $(HEBT_FIDELITY),paper) fidelity'
	@$(BIN)/python -c 'import sys; sys.path.insert(0, "book"); \
	  from companion import phantom; phantom.figure4(phantom.study()).savefig( \
	  "book/figure4.png", dpi=90, pil_kwargs={"optimize": True})'

bench: $(STAMP)
	@$(BIN)/python benchmarks/run.py

lock: $(STAMP)
	@echo 'Resolving requirements.in with uv $(UV)'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --upgrade \
	  --target $(VENV)/uv uv==$(UV)
	@$(VENV)/uv/bin/uv pip compile requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --no-strip-extras $(UPGRADE) --quiet -o requirements.lock
	@echo 'requirements.lock is renewed; the next make installs it.'

clean:
	rm -rf _build .pytest_cache .hypothesis
