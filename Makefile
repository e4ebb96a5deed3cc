# Every target sets up .venv by itself; `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
KIT = $(VENV)/bin/kit
READY = $(VENV)/.ready

RECIPE ?= image_classification

# What a user gives may hold anything: quotes, spaces, `;`, `$(...)`, line ends. So no text of it stands in a command:
# each variable is handed over in the environment as it was typed ($(value ...)), and the shell reads it there, quoted.
# Make itself would expand the variables of its command line while it exports them; hence `unexport`.
GIVEN = RECIPE DATA CONFIG FOLDER SEED RESUME OUTPUT TRIALS MINUTES RUN RUNS INPUT INPUTS TEXT PASSAGE FORMAT PORT HOST SET
unexport $(GIVEN) JSON DRY FIND_LR
$(foreach name,$(GIVEN),$(eval export GIVEN_$(name) := $$(value $(name))))
flag = $(if $(value $(1)),"--$(2)=$$GIVEN_$(1)")
JSON_FLAG = $(if $(value JSON),--json)
OPTIONS = $(call flag,CONFIG,config) $(call flag,FOLDER,folder) $(call flag,SEED,seed) $(call flag,RESUME,resume) \
	$(call flag,OUTPUT,output) $(JSON_FLAG) $(if $(value DRY),--dry-run) $(if $(value FIND_LR),--find-learning-rate) \
	$(call flag,DATA,data.source)

# Runs a command with SET's settings as flags and the words of the variable named first behind it. Both are divided at
# spaces as a shell divides: SET="data.source='my photos' train.epochs=5", RUNS="runs/a 'runs/b c'".
define WORDS
import os, shlex, sys
name, *command = sys.argv[1:]
words = {}
for key in ("SET", name):
    try:
        words[key] = shlex.split(os.environ.get(f"GIVEN_{key}", ""))
    except ValueError as error:
        sys.exit(f"make: {key}: {error}; expected words divided by spaces, those with spaces in quotes")
end = command.index("--") if "--" in command else len(command)
settings = [f"--{word}" for word in words["SET"]]
more = words[name] if name != "SET" else []
for key in [key for key in os.environ if key.startswith("GIVEN_")]:
    del os.environ[key]
os.execv(command[0], [*command[:end], *settings, *command[end:], *more])
endef
export GIVEN_WORDS := $(value WORDS)
WITH = $(VENV)/bin/python -c "$$GIVEN_WORDS"
WITH_SET = $(WITH) SET $(KIT)

.DEFAULT_GOAL := help
.PHONY: help setup train inspect pack tune evaluate predict explain serve report export learning-curve doctor list show test test-slow test-large test-all lint format bench schema wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make train RECIPE=image_classification DATA=photos SET="model.backbone=resnet18 train.epochs=5"'
	@echo '  variables: RECIPE DATA CONFIG SET SEED FOLDER TRIALS MINUTES RESUME=last DRY=1 FIND_LR=1 OUTPUT RUN INPUT TEXT PASSAGE FORMAT PORT HOST JSON=1 PYTHON'
	@echo "  SET, INPUTS and RUNS hold several, divided by spaces; what has a space is quoted: SET=\"data.source='my photos'\""

setup: $(READY) ## make .venv with the versions of constraints.txt

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make: $$($(PYTHON) --version) found; expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "setting up $(VENV) (once; about 2 GB, a few minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

train: $(READY) ## train RECIPE, or carry a run on with FOLDER= or RESUME=last
	@$(WITH_SET) train "$$GIVEN_RECIPE" $(call flag,MINUTES,train.minutes) $(OPTIONS)

# make inspect DATA=photos SET="data.test_fraction=0.1"; the recipe is guessed where RECIPE= is not given.
inspect: $(READY) ## look for what is wrong with DATA, and write a page
	@$(WITH_SET) inspect $(if $(filter-out file,$(origin RECIPE)),$(call flag,RECIPE,recipe)) $(call flag,CONFIG,config) \
		$(call flag,OUTPUT,output) $(JSON_FLAG) $(call flag,DATA,data.source)

# make pack DATA=photos OUTPUT=photos.pack; the recipe is guessed where RECIPE= is not given.
pack: $(READY) ## write DATA into shards OUTPUT once, for trainings whose data are larger than memory
	@$(WITH_SET) pack $(if $(filter-out file,$(origin RECIPE)),$(call flag,RECIPE,recipe)) $(JSON_FLAG) -- \
		"$$GIVEN_DATA" "$$GIVEN_OUTPUT"

# make tune RECIPE=translation TRIALS=20 SET="tune.algorithm=hyperband train.epochs=5"
tune: $(READY) ## search the settings of RECIPE in TRIALS trials, or carry a study on with FOLDER=
	@$(WITH_SET) tune "$$GIVEN_RECIPE" $(call flag,TRIALS,tune.trials) $(call flag,MINUTES,tune.minutes) $(OPTIONS)

evaluate: $(READY) ## score the finished run RUN again
	@$(WITH_SET) evaluate $(JSON_FLAG) -- "$$GIVEN_RUN"

predict: $(READY) ## apply the finished run RUN to INPUT or INPUTS, or to TEXT="...", or SET="count=64" where it makes something
	@$(WITH) INPUTS $(KIT) predict $(call flag,TEXT,text) $(call flag,PASSAGE,passage) $(JSON_FLAG) -- "$$GIVEN_RUN" $(if $(value INPUT),"$$GIVEN_INPUT")

serve: $(READY) ## answer requests to the finished run RUN, or RUNS="... ...", over HTTP at PORT (8000), with a page
	@$(WITH) RUNS $(KIT) serve $(call flag,PORT,port) $(call flag,HOST,host) $(JSON_FLAG) -- $(if $(value RUNS),,"$$GIVEN_RUN")

explain: $(READY) ## show what answers of the finished run RUN to INPUT or INPUTS, or to TEXT="...", rest on
	@$(WITH) INPUTS $(KIT) explain $(call flag,TEXT,text) $(call flag,OUTPUT,output) $(JSON_FLAG) -- "$$GIVEN_RUN" $(if $(value INPUT),"$$GIVEN_INPUT")

report: $(READY) ## write the page of the finished run RUN anew, or one that compares RUNS="... ..."
	@$(WITH) RUNS $(KIT) report $(JSON_FLAG) -- $(if $(value RUNS),,"$$GIVEN_RUN")

export: $(READY) ## write the model of the finished run RUN as FORMAT=saved_model, litert, litert_int8 or onnx
	@$(KIT) export $(JSON_FLAG) -- "$$GIVEN_RUN" "$$GIVEN_FORMAT"

learning-curve: $(READY) ## estimate what twice as many training examples would give the finished run RUN
	@$(KIT) learning-curve $(JSON_FLAG) -- "$$GIVEN_RUN"

doctor: $(READY) ## look whether this machine is ready
	@$(KIT) doctor

list: $(READY) ## list recipes, architectures and shipped settings
	@$(KIT) list

show: $(READY) ## show every setting of RECIPE
	@$(KIT) show $(call flag,CONFIG,config) -- "$$GIVEN_RECIPE"

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
	@for script in image_classification families recommendation text_classification text_augmentation tabular_prediction forecasting sequence_tagging translation tuning gan autoencoder image_to_image agents serve inspection learning_curve own_data packed photographs published_images pretraining text_to_text language_modelling language_step language_windows backends bert_step minutes; do \
		$(VENV)/bin/python benchmarks/$$script.py $(if $(value DATA),--write --data "$$GIVEN_DATA") || exit 1; done

schema: $(READY) ## write kit/schema.json anew, the table of all settings that list and show read
	@$(VENV)/bin/python -c 'from kit.commands import schema; print(schema.write())'

wheel: $(READY) ## build the wheel into dist/
	@$(VENV)/bin/python -m build -q --wheel

clean: ## remove .venv and what was built; runs/ stays
	rm -rf $(VENV) build dist *.egg-info
