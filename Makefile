# Entry points; each works as the first command in a fresh clone.
VENV ?= .venv
export VENV
PYTHON_BIN := $(VENV)/bin/python
CPP_FILES = $(shell git ls-files '*.h' '*.cpp')

.PHONY: help demo test bench bench-accuracy lint format setup package clean

help:
	@echo "make demo            the ResNet example: generate, meter, predict 6,561 variants, check 8 of them"
	@echo "make test            all tests (C++, Python)"
	@echo "make bench           speed against the classic way: bench/results/speed.json, docs/performance.md"
	@echo "make bench-accuracy  accuracy: bench/results/accuracy.json, docs/accuracy.md"
	@echo "make lint            ruff and clang-format, changing nothing (make format changes)"
	@echo "make package         build MMT and install it into $(VENV)"
	@echo "make clean           remove what was built, and $(VENV)"

setup:
	@scripts/setup.sh

package:
	@scripts/setup.sh --package

demo: package
	@$(PYTHON_BIN) examples/resnet/demo.py

test: package
	@scripts/test.sh

bench: package
	@$(PYTHON_BIN) bench/run_speed.py

bench-accuracy: package
	@$(PYTHON_BIN) bench/run_accuracy.py

lint: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/clang-format --dry-run -Werror $(CPP_FILES)

format: setup
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/clang-format -i $(CPP_FILES)

clean:
	rm -rf build dist $(VENV)
