# The short way to everything; CMake, Ninja and scripts/ do the work. `make help` lists the targets.
PRESET ?= release
PREFIX ?= /usr/local
DATA ?= data

.PHONY: all build run test bench fuzz format lint sanitize coverage install clean help

all: build

build: ## build/gantry, optimised and hardened
	@scripts/setup
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build --preset $(PRESET)

run: build ## build and serve ./data on loopback
	build/gantry serve --data $(DATA)

test: ## everything CI runs: unit, integration, sanitizer and fuzz tests
	@scripts/setup --test
	@scripts/test-all

bench: build ## measure, see bench/
	@scripts/bench

fuzz: ## fuzz every target, FUZZ_SECONDS each (default 60)
	@scripts/setup --test
	@scripts/fuzz $${FUZZ_SECONDS:-60}

format: ## clang-format over our sources
	@git ls-files '*.c' '*.h' | grep -v -e 'src/dicom/tags.h' | xargs clang-format -i

lint: ## clang-tidy, cppcheck and our own rules
	@scripts/setup --test
	@scripts/lint

sanitize: ## unit tests under ASan+UBSan and under TSan
	@scripts/setup --test
	@for p in asan tsan; do cmake --preset $$p >/dev/null && cmake --build --preset $$p && ctest --preset $$p || exit 1; done

coverage: ## line coverage of src/dicom and src/dimse; fails below 90 %
	@scripts/setup --test
	@scripts/coverage

install: build ## install under PREFIX (default /usr/local)
	@cmake --install build --prefix $(PREFIX)

clean: ## remove all build folders
	rm -rf build build-*

help:
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20
