# The book's commands; `make help` lists them.

# A Python 3.11, 3.12 or 3.13. Left empty, the first of these that is installed is taken.
PYTHON  ?=
PYTHONS  = 3.13 3.12 3.11
VENV    ?= .venv
OUT     ?= .
# "no" uses VENV as it is, such as a conda environment, and installs nothing
SETUP   ?= yes
PORT    ?= 8000
UV       = 0.13.9
UPGRADE ?= --upgrade
# more options for JupyterLab, such as --no-browser or --allow-root
LAB     ?=

# Folders reach recipes as variables of the shell: their names may hold spaces and apostrophes.
export VENV OUT PYTHON PYTHONS
RUN  = "$$VENV/bin/python"
HTML = "$$OUT/_build/html"
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL = help
.PHONY: help setup book test test-fast lint data wheel archive pdf lab serve picture bench promises lock clean

help:
	@echo 'make book     build the book: install what it needs, run every chapter, write the pages'
	@echo 'make test     run the tests'
	@echo 'make test-fast    those that need neither a browser nor the built book, in a minute'
	@echo 'make lint     style and types, as CI checks them'
	@echo 'make data     download the measured tilt series (56 MB), hashes checked'
	@echo 'make wheel    build the package hebt alone, into dist/'
	@echo 'make archive  pack the built pages into a zip file that opens from disk'
	@echo 'make pdf      print the whole book into one PDF (needs Chromium)'
	@echo 'make lab      open the chapters as notebooks in JupyterLab'
	@echo 'make serve    show the built pages at http://127.0.0.1:$(PORT)'
	@echo 'make bench    compare speed, memory and time to an error with other reconstruction codes'
	@echo 'make picture  draw the picture in README.md again'
	@echo 'make promises run the tests of the promises, and record what they tried'
	@echo 'make lock     renew requirements.lock from requirements.in (UPGRADE= keeps what fits)'
	@echo 'make clean    remove the built pages, caches and kept results (.venv stays)'
	@echo
	@echo 'HEBT_FIDELITY=quick make book    the same with small sizes, in a few minutes'
	@echo 'make book PYTHON=python3.12      use that Python for .venv'
	@echo 'make book VENV=DIR SETUP=no      use an environment of your own, and install nothing'

# An environment for the lock and for hebt, made anew where the lock or the Python has changed.
setup:
ifneq ($(SETUP),no)
	@.ci/folders setup
else
	@:
endif

book: setup
	@echo 'Building the book at $(or $(HEBT_FIDELITY),paper) fidelity: every chapter runs.'
	@.ci/folders pages
	@$(RUN) -c 'from jupyter_book.cli.main import main; main()' \
	  build . --path-output "$$OUT" --all -W -n --keep-going
	@cd $(HTML) && echo "The pages are ready: open $$PWD/index.html in a browser."

# Three processes, a file at a time each: one of them waits for the book most of the time.
test: setup
	@echo 'Running the tests (the book at quick fidelity is one of them; a few minutes).'
	@$(RUN) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-fast: setup
	@$(RUN) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder \
	  -m 'not slow and not browser and not book'

lint: setup
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

data: setup
	@$(RUN) -c 'from hebt._cli import main; main()' data fetch dust

wheel: setup
	@$(RUN) -m build --no-isolation --outdir dist

archive: setup
	@[ -f $(HTML)/index.html ] || $(MAKE) book
	@$(RUN) book/_ext/archive.py $(HTML) "$$OUT/_build/hebt-book-$(VERSION).zip"

pdf: setup
	@[ -f $(HTML)/index.html ] || $(MAKE) book
	@$(RUN) book/_ext/printed.py $(HTML) "$$OUT/_build/hebt-book-$(VERSION).pdf"

lab: setup
	@echo 'Opening JupyterLab; a chapter is a .md file in book/. Stop it with Ctrl-C.'
	@echo 'Run All Cells does nothing while a kernel is still connecting: wait until the status bar'
	@echo 'at the bottom says "Idle".'
	@JUPYTER_CONFIG_DIR="$$PWD/.jupyter" $(RUN) -m jupyterlab \
	  --LabApp.default_url=/lab/tree/book/intro.md $(LAB)

serve: setup
	@[ -f $(HTML)/index.html ] || $(MAKE) book
	@echo 'The pages are at http://127.0.0.1:$(PORT) until you press Ctrl-C.'
	@$(RUN) -m http.server --bind 127.0.0.1 --directory $(HTML) $(PORT)

# Small sizes make another picture than README's, which stays.
picture: setup
	@echo 'Running the phantom study at $(or $(HEBT_FIDELITY),paper) fidelity'
	@$(RUN) benchmarks/picture.py

bench: setup
	@$(RUN) benchmarks/run.py
	@$(RUN) benchmarks/errors.py

# One process, as they all write to one record.
promises: setup
	@$(RUN) -m pytest -q -m promise --record

lock: setup
	@echo 'Resolving requirements.in with uv $(UV)'
	@$(RUN) -m pip install --disable-pip-version-check --quiet --upgrade \
	  --target "$$VENV/uv" uv==$(UV)
	@"$$VENV/uv/bin/uv" pip compile requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --no-strip-extras $(UPGRADE) --quiet -o requirements.lock
	@echo 'requirements.lock is renewed; the next make installs it.'

clean:
	@.ci/folders clean
