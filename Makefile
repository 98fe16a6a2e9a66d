# What people run. A machine needs Python 3.11, git, make, and root or sudo; the rest is installed on first use.

PYTHON := $(shell /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && echo /usr/bin/python3 || echo python3)
BIN := .venv/bin
READY := .venv/ready
# The lab needs root; its caches stay out of the tree, so that no file of root's is left in it.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo env PYTHONDONTWRITEBYTECODE=1 "'PATH=$$PATH'")
PRIVATE := $(AS_ROOT) $(BIN)/python -m tests.lab.enter -- env HYPOTHESIS_STORAGE_DIRECTORY=/run/lab/hypothesis

.DEFAULT_GOAL := help
.PHONY: demo test check coverage bench soak faults simulate fuzz pictures deb wheels help

demo: $(READY) ## two hosts in private network namespaces find each other and talk; DEMO_JSON=FILE for the figures
	@$(PRIVATE) $(BIN)/python -m tests.lab.demo $(if $(DEMO_JSON),--json '$(DEMO_JSON)')

# In two halves side by side, each on a private machine of its own: what needs the lab waits, the rest computes.
test: $(READY) ## the whole test suite, where no packet can leave the machine
	@computing=$$(mktemp); \
	$(PRIVATE) $(BIN)/python -m pytest -p no:cacheprovider -m 'not lab' tests >"$$computing" 2>&1 & other=$$!; \
	$(PRIVATE) $(BIN)/python -m pytest -p no:cacheprovider -m lab tests; lab=$$?; \
	wait $$other; others=$$?; cat "$$computing"; rm "$$computing"; exit $$((lab || others))

coverage: $(READY) ## which lines and branches the tests reach that need no lab (few examples of each property)
	@$(PRIVATE) env MIROSD_EXAMPLES=200 COVERAGE_FILE=/run/lab/coverage sh -c '$(BIN)/coverage run -m pytest -q \
	  -p no:cacheprovider -m "not lab" --ignore tests/simulation tests && $(BIN)/coverage report --skip-covered --sort=cover'

bench: $(READY) ## the benchmarks, a table of ratios; ROUNDS=1 QUICK=1 for a look, BENCH_JSON=FILE for the figures
	@$(PRIVATE) $(BIN)/python -m bench $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(QUICK),--quick) \
	  $(if $(BENCH_JSON),--json '$(BENCH_JSON)')
	@$(PRIVATE) $(BIN)/python -m bench.discovery $(if $(ROUNDS),--rounds '$(ROUNDS)')

soak: $(READY) ## three hosts in trouble, and what is left of it; MINUTES=10 SEED=1, SOAK_JSON=FILE, SOAK_LOGS=FOLDER
	@$(PRIVATE) $(BIN)/python -m tests.soak $(if $(MINUTES),--minutes '$(MINUTES)') $(if $(SEED),--seed '$(SEED)') \
	  $(if $(SOAK_JSON),--json '$(SOAK_JSON)') $(if $(SOAK_LOGS),--logs '$(SOAK_LOGS)')

faults: $(READY) ## each fault by name, and what became of every event; ONLY=NAME, FAULTS_JSON=FILE
	@$(PRIVATE) $(BIN)/python -m tests.faults $(if $(ONLY),--only "$(ONLY)") \
	  $(if $(FAULTS_JSON),--json '$(FAULTS_JSON)') $(if $(FAULTS_LOGS),--logs '$(FAULTS_LOGS)')

simulate: $(READY) ## many hosts in one process, random faults: each event accounted for; SEEDS=1000 FIRST=0
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds '$(SEEDS)') $(if $(FIRST),--first '$(FIRST)')

fuzz: $(READY) ## junk for each parser of what others may write; MINUTES=10 each, ONLY=NAME, FUZZ_FOUND=FOLDER
	@$(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes '$(MINUTES)') $(if $(ONLY),--only '$(ONLY)') \
	  $(if $(FUZZ_FOUND),--found '$(FUZZ_FOUND)')

pictures: $(READY) ## those of docs/pictures: horse archers fight on three hosts, and one terminal shows it
	@$(PRIVATE) $(BIN)/python -m examples.pictures

deb: $(READY) ## the Debian packages mirosd and mirosd-client, into dist/
	@packaging/build-deb

wheels: $(READY) ## both distributions as wheels, into dist/
	@PIP_BUILD_CONSTRAINT=packaging/constraints.txt $(BIN)/pip --quiet wheel --no-deps --wheel-dir dist ./client .

check: $(READY) ## formatter, linter, types, import floors: before each commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests.lab -p tests.soak -p tests.faults -p tests.simulation -p tests.fuzz -p bench -p manual
	$(BIN)/mypy packaging/copyright.py
	$(BIN)/python -m pytest -q tests/test_floors.py

$(READY): pyproject.toml client/pyproject.toml packaging/dev/prepare packaging/constraints.txt
	packaging/dev/prepare $(PYTHON)
	@touch $@

help: ## this list
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/make \1\t\2/p' Makefile | expand --tabs=14
