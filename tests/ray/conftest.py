"""Mark all of these tests: they need Ray, and are of `make test-ray` alone."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; what Ray warns of is no fault of ours."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("ray")
            item.add_marker(pytest.mark.filterwarnings("ignore"))
