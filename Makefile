# Two environments: .venv-serve holds what classifying needs (no torch), .venv everything.
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check bench clean

demo: .venv-serve/ready  ## classify a drawn slide with the bundled model and show the differential next to the truth
	.venv-serve/bin/leukopy demo --out demo --overwrite

test: .venv/ready  ## all tests; those on real images run where LEUKOPY_DATA says they lie
	.venv/bin/pytest -n 2

check: .venv/ready  ## linters and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/ready  ## speed and memory; takes some minutes
	.venv/bin/python benchmarks/speed.py

clean:
	rm -rf .venv .venv-serve demo

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) -e '.[train,study,app,dev]'
	touch $@

.venv-serve/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-serve
	.venv-serve/bin/pip install $(PIP_FLAGS) -e .
	touch $@
