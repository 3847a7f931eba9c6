.DEFAULT_GOAL := help
.PHONY: help install lint format types test slow coverage demo notebooks docs ci clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## Make the environment: .venv, with the tests' and linters' packages
	uv sync

lint:  ## Check style and format, change nothing
	uv run ruff check .
	uv run ruff format --check .

format:  ## Format the code, mend what the linter can mend
	uv run ruff check --fix .
	uv run ruff format .

types:  ## Check the types
	uv run mypy

test:  ## Run the tests
	uv run pytest

slow:  ## Run the heavier studies
	uv run pytest -m slow

coverage:  ## Run the tests and report what they execute (no gate)
	COVERAGE_CORE=sysmon uv run pytest --cov=bayescausal --cov-report=term:skip-covered

demo:  ## Run the main job, end to end
	uv run bayescausal demo

notebooks:  ## Execute the notebooks and store their outputs
	uv run pytest --nbmake --overwrite --nbmake-timeout=600 notebooks

docs:  ## Build the pages in docs/_build/html; a warning is an error
	uv run --group docs sphinx-build -W --keep-going -q -b html docs docs/_build/html

ci:  ## Everything that must pass before a change is merged
	.ci/run

clean:  ## Remove caches and build results
	rm -rf build dist docs/_build docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find bayescausal tests -name __pycache__ -type d -prune -exec rm -rf {} +
