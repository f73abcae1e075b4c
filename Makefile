# Two environments: .venv-serve holds what classifying needs (no torch), .venv everything.
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-quick test-durations check docs notebooks wheel sbom release tagged bench bench-models bench-fields clean

demo: .venv-serve/ready  ## classify a drawn slide with the bundled model and show the differential next to the truth
	.venv-serve/bin/leukopy demo --out demo --overwrite

test: .venv/ready  ## all tests; those on real images run where LEUKOPY_DATA says they lie
	.venv/bin/pytest -n 2

# Trainings, whole programs, browsers and a second database are left to `make test`, and to whoever changes them.
NOT_QUICK := browser integration models patients/models patients/training patients/workflows review/api studies training
test-quick: .venv/ready  ## for each change, under 2 minutes
	.venv/bin/pytest -n 2 -m "not slow and not real_data" -k "not postgres" $(NOT_QUICK:%=--ignore=tests/%)

test-durations: .venv/ready  ## name the tests that need the mark `slow`: more than 5 s of CPU time
	.venv/bin/pytest -n 2 -m "not slow" --cpu-durations 5

# One thread for each of the two processes.
test test-quick test-durations: export OMP_NUM_THREADS = 1

check: .venv/ready  ## linters and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/ready  ## the documentation, as a folder that opens without a network; warnings are errors
	.venv/bin/python tools/build_docs.py

notebooks: .venv/ready  ## the examples as notebooks
	.venv/bin/python tools/notebooks.py

# Two builds of one commit are the same, byte for byte.
wheel: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
wheel: .venv/ready  ## dist/leukopy-*.whl
	rm -rf dist
	.venv/bin/python -m hatchling build -t wheel -d dist

sbom: .venv/ready .venv-serve/ready  ## all packages of the base install, with versions and licences (CycloneDX)
	mkdir -p build
	.venv/bin/cyclonedx-py environment .venv-serve/bin/python --pyproject pyproject.toml --output-reproducible -o build/sbom.json

release:  ## VERSION=0.2.0: set the version and date the changelog; docs/versions.md says what comes before and after
	$(PYTHON) tools/release.py $(VERSION)

tagged:  ## TAG=v0.2.0: whether the tag names the version of these sources
	$(PYTHON) tools/release.py --tag $(TAG)

bench: .venv/ready  ## speed and memory; some minutes. Then, where LEUKOPY_DATA is set, the figures of the model
	.venv/bin/python benchmarks/speed.py
	-LEUKOPY_RUNTIME=openvino .venv/bin/python benchmarks/speed.py  # refused on processors without VNNI
	.venv/bin/python benchmarks/memory.py
	$(if $(LEUKOPY_DATA),$(MAKE) bench-models)

# Trainings that are finished are kept in runs/, and an interrupted one goes on; all of them take a night.
RESULTS := benchmarks/results
bench-models: .venv/ready  ## what the models can do, in known laboratories and others; needs LEUKOPY_DATA
	.venv/bin/leukopy evaluate pbc --root $(LEUKOPY_DATA)/cells/pbc --examples 0 --out runs/default-on-pbc --overwrite --into-card
	.venv/bin/leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out
	.venv/bin/leukopy study leave-out configs/open_set.yaml --out runs/open_set
	mkdir -p $(RESULTS)/default-on-pbc $(RESULTS)/leave-one-out $(RESULTS)/open-set
	cd runs/default-on-pbc && cp confusion* per_class.csv reliability.png report.json summary.md $(CURDIR)/$(RESULTS)/default-on-pbc
	cp $$(find runs/leave_one_out -maxdepth 1 -type f) $(RESULTS)/leave-one-out
	cp $$(find runs/open_set -maxdepth 1 -type f) $(RESULTS)/open-set
	.venv/bin/python benchmarks/adapt.py runs/leave_one_out
	.venv/bin/python benchmarks/slide_classes.py runs/leave_one_out
	for lab in raabin chula bcisc cellavision; do .venv/bin/leukopy model fit-ood --keep-rate 0.98 --overwrite \
	  --model runs/leave_one_out/not-$$lab/seed0/model/bundle --out runs/leave_one_out/not-$$lab/seed0/open; done
	.venv/bin/python benchmarks/open_set_elsewhere.py runs/leave_one_out runs/open_set
	.venv/bin/leukopy model fit-outside --out runs/outside --overwrite
	.venv/bin/python benchmarks/outside.py runs/outside
	.venv/bin/python benchmarks/outside_elsewhere.py
	.venv/bin/python benchmarks/hospital_left_out.py
	.venv/bin/python benchmarks/few_cells.py
	.venv/bin/leukopy model fit-count-error --evidence runs/outside/cells.parquet --out runs/count-error --overwrite
	.venv/bin/python benchmarks/count_error.py runs/count-error
	.venv/bin/python benchmarks/review_order.py runs/outside
	.venv/bin/leukopy study transfer configs/transfer.yaml --out runs/transfer
	.venv/bin/python benchmarks/slide_check.py runs/transfer
	.venv/bin/python benchmarks/default_card.py

bench-fields: .venv/ready  ## what the detector can do, and the cost of fields and slides; needs LEUKOPY_DATA
	.venv/bin/python benchmarks/detection.py
	.venv/bin/python benchmarks/detector_left_out.py runs/left_out
	.venv/bin/python benchmarks/chula_fields.py
	.venv/bin/python benchmarks/red_cell_shapes.py
	.venv/bin/python benchmarks/drawn_slides.py 100
	.venv/bin/python benchmarks/whole_slide.py
	.venv/bin/python benchmarks/fields.py

clean:
	rm -rf .venv .venv-serve demo build dist

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) -e '.[train,generate,study,app,openvino,heic,slides,cluster,mcp,docs,dev]'
	touch $@

.venv-serve/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-serve
	.venv-serve/bin/pip install $(PIP_FLAGS) -e .
	touch $@
