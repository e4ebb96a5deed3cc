# Every target sets up .venv by itself; `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
KIT = $(VENV)/bin/kit
READY = $(VENV)/.ready

# make train RECIPE=image_classification DATA=photos SET="model.backbone=resnet18 train.epochs=5"
RECIPE ?= image_classification
OPTIONS = $(if $(CONFIG),--config "$(CONFIG)") $(if $(FOLDER),--folder "$(FOLDER)") $(if $(SEED),--seed "$(SEED)") \
	$(if $(RESUME),--resume "$(RESUME)") $(if $(JSON),--json) $(if $(DRY),--dry-run) $(if $(FIND_LR),--find-learning-rate) \
	$(if $(OUTPUT),--output "$(OUTPUT)") \
	$(if $(DATA),"--data.source=$(DATA)") $(foreach setting,$(SET),"--$(setting)")

.DEFAULT_GOAL := help
.PHONY: help setup train tune evaluate predict report export doctor list show test test-slow test-large test-all lint format bench schema wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make train RECIPE=image_classification DATA=photos SET="model.backbone=resnet18 train.epochs=5"'
	@echo '  variables: RECIPE DATA CONFIG SET SEED FOLDER TRIALS RESUME=last DRY=1 FIND_LR=1 OUTPUT RUN RUNS INPUT TEXT FORMAT JSON=1 PYTHON'

setup: $(READY) ## make .venv with the versions of constraints.txt

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make: $$($(PYTHON) --version) found; expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "setting up $(VENV) (once; about 2 GB, a few minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

train: $(READY) ## train RECIPE, or carry a run on with FOLDER= or RESUME=last
	@$(KIT) train $(RECIPE) $(OPTIONS)

# make tune RECIPE=translation TRIALS=20 SET="tune.algorithm=hyperband train.epochs=5"
tune: $(READY) ## search the settings of RECIPE in TRIALS trials, or carry a study on with FOLDER=
	@$(KIT) tune $(RECIPE) $(if $(TRIALS),--tune.trials "$(TRIALS)") $(OPTIONS)

evaluate: $(READY) ## score the finished run RUN again
	@$(KIT) evaluate "$(RUN)" $(if $(JSON),--json) $(foreach setting,$(SET),"--$(setting)")

predict: $(READY) ## apply the finished run RUN to INPUT, or to TEXT="...", or SET="count=64" where it makes something
	@$(KIT) predict "$(RUN)" $(INPUT) $(foreach setting,$(SET),"--$(setting)") $(if $(value TEXT),--text '$(subst ','\'',$(value TEXT))') $(if $(JSON),--json)

report: $(READY) ## write the page of the finished run RUN anew, or one that compares RUNS="... ..."
	@$(KIT) report $(if $(RUNS),$(RUNS),"$(RUN)") $(if $(JSON),--json)

export: $(READY) ## write the model of the finished run RUN as FORMAT=saved_model, litert, litert_int8 or onnx
	@$(KIT) export "$(RUN)" "$(FORMAT)" $(if $(JSON),--json)

doctor: $(READY) ## look whether this machine is ready
	@$(KIT) doctor

list: $(READY) ## list recipes, architectures and shipped settings
	@$(KIT) list

show: $(READY) ## show every setting of RECIPE
	@$(KIT) show $(RECIPE) $(if $(CONFIG),--config "$(CONFIG)")

# Tests that share what they have trained, those of a module or of a recipe, are for one process; see tests/conftest.py.
SPREAD = -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

test: $(READY) ## the tests that take minutes, without network
	@$(VENV)/bin/python -m pytest $(SPREAD)

test-slow: $(READY) ## the slow tests but the large ones: kills, tuning, the wheel, other backends
	@$(VENV)/bin/python -m pytest $(SPREAD) -m "slow and not large"

test-large: $(READY) ## large architectures and whole trainings
	@$(VENV)/bin/python -m pytest $(SPREAD) -m "large"

test-all: $(READY) ## all tests
	@$(VENV)/bin/python -m pytest $(SPREAD) -m "slow or large or not slow"

lint: $(READY) ## check style and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

format: $(READY) ## put the code into its format
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

bench: $(READY) ## measure the numbers of the recipes' READMEs; DATA= a folder with the data sets
	@for script in image_classification families sequence_tagging translation tuning gan autoencoder image_to_image agents; do \
		$(VENV)/bin/python benchmarks/$$script.py $(if $(DATA),--write --data "$(DATA)") || exit 1; done

schema: $(READY) ## write kit/schema.json anew, the table of all settings that list and show read
	@$(VENV)/bin/python -c 'from kit.commands import schema; print(schema.write())'

wheel: $(READY) ## build the wheel into dist/
	@$(VENV)/bin/python -m build -q --wheel

clean: ## remove .venv and what was built; runs/ stays
	rm -rf $(VENV) build dist *.egg-info
