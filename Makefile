# The front door. `make` alone lists what there is.

VENV      := .venv/bin
PYTHON    := $(VENV)/python
CACHE     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weft
# Tests boot machines from this home; it keeps a kernel and the images from one run to the next.
TEST_HOME := $(or $(WEFT_TEST_HOME),$(CACHE)/test-home)
DEMO_APPLIANCES := appliances/base appliances/web appliances/sniffer
BENCHMARKS      := $(sort $(notdir $(basename $(filter-out %/__init__.py,$(wildcard benchmarks/*.py)))))
# Pages with parts that are written from the code.
REFERENCE       := $(addprefix docs/reference/,api.md settings.md errors.md events.md metrics.md fabric-file.md file-tree.md fabric-file.schema.json)
# Tests with machines wait for a quarter of their time: half as many at once again as there are processors. Files are
# taken in their order: by their numbers of tests, long ones with few would be the last.
WORKERS         := $(shell expr $$(nproc) \* 3 / 2)
APPLIANCES      := $(sort $(patsubst %/recipe.toml,%,$(wildcard appliances/*/recipe.toml benchmarks/images/*/recipe.toml)))

export WEFT_TEST_HOME = $(TEST_HOME)
# A run starts thousands of Python programs of ours: compiled modules are kept, whatever the shell says of it.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: bootstrap images ## Slip a sniffer in front of a running web server, and watch
	@$(PYTHON) examples/demo.py

.PHONY: test
test: bootstrap check prepare ## Run everything that CI runs
	@$(VENV)/pytest -n auto --dist worksteal --cov --cov-report= tests/unit
	@$(VENV)/coverage report --fail-under=95
	@$(VENV)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/contract tests/host tests/machine

.PHONY: unit
unit: bootstrap ## Run the tests that need nothing but Python
	@$(VENV)/pytest -q -n auto --dist worksteal tests/unit

.PHONY: check
check: environment ## Check format, lint, types, imports and generated pages
	@$(VENV)/ruff format --check --quiet . || { echo "not formatted; run: make fmt" >&2; exit 1; }
	@$(VENV)/ruff check --quiet .
	@$(VENV)/mypy
	@$(VENV)/lint-imports --no-logo
	@$(PYTHON) -m weft.cli.reference --check docs/reference/cli.md
	@$(PYTHON) -m scripts.reference --check $(REFERENCE)

.PHONY: bench
bench: bootstrap ## Measure a promise: make bench NAME=splice prints JSON
	@test -f "benchmarks/$(NAME).py" || { echo "NAME= must be one of: $(BENCHMARKS)" >&2; exit 2; }
	@$(PYTHON) -m benchmarks.$(NAME) $(ARGS)

.PHONY: fmt
fmt: environment ## Format the code and put right what the linter can
	@$(VENV)/ruff check --quiet --fix-only .
	@$(VENV)/ruff format --quiet .

.PHONY: docs
docs: environment ## Write the generated pages of docs/reference
	@$(PYTHON) -m weft.cli.reference docs/reference/cli.md
	@$(PYTHON) -m scripts.reference $(REFERENCE)

.PHONY: images
images: bootstrap ## Build the kernel and the appliances for the default fabric
	@$(VENV)/weft kernel build
	@$(VENV)/weft image build $(DEMO_APPLIANCES)

.PHONY: prepare
prepare: bootstrap ## Build what tests boot: the kernel, images and their templates
	@$(VENV)/weft --home $(TEST_HOME) kernel build
	@$(VENV)/weft --home $(TEST_HOME) image build --template $(APPLIANCES)
	@$(VENV)/weft --home $(TEST_HOME) shutdown --machines

.PHONY: guest
guest: ## Build the machines' init
	@$(MAKE) --no-print-directory -C guest

.PHONY: fuzz
fuzz: ## Fuzz the init's parsers for SECONDS= (60)
	@$(MAKE) --no-print-directory -C guest fuzz SECONDS=$(or $(SECONDS),60)

# What fuzzes is not for every Python, so it is not among what the tests need.
.PHONY: fuzz-9p
fuzz-9p: environment ## Fuzz the 9P codec and server for SECONDS= (60)
	@$(PYTHON) -c 'import atheris' 2>/dev/null || $(PYTHON) -m pip install -q --disable-pip-version-check atheris
	@mkdir -p build/fuzz-9p/corpus
	@$(PYTHON) -m tests.fuzz.ninep -max_total_time=$(or $(SECONDS),60) -print_final_stats=1 \
	        -artifact_prefix=build/fuzz-9p/ build/fuzz-9p/corpus

.PHONY: bootstrap
bootstrap: ## Install what is missing: Debian packages, .venv, the init
	@scripts/bootstrap

# For what needs Python only: the rest of bootstrap may need root.
.PHONY: environment
environment:
	@test -x $(VENV)/ruff || scripts/bootstrap

.PHONY: clean
clean: ## Remove what was built here; kernels and images in ~/.cache/weft stay
	@$(MAKE) --no-print-directory -C guest clean
	@rm -rf build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove .venv too
	@rm -rf .venv
