"""Without an attack the neighbours notice nothing: the figures themselves can be met."""

import pytest

from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow


def test_nothing_is_noticed_of_no_attack(unnoticed: Unnoticed) -> None:
    with unnoticed.attack() as target:
        target.sleep(3.0)
