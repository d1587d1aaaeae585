"""So many at once, and no queue."""

import pytest

from core.errors import TierFailed
from generation.bulkhead import Bulkhead


def test_bulkhead_refuses_at_once_when_all_places_are_taken() -> None:
    bulkhead = Bulkhead(places=2)
    with bulkhead.place(), bulkhead.place(), pytest.raises(TierFailed) as caught, bulkhead.place():
        pass
    assert (caught.value.fault, caught.value.retry_after, bulkhead.taken) == ("busy", 1.0, 0)


def test_place_is_free_again_after_a_failure() -> None:
    bulkhead = Bulkhead(places=1)
    with pytest.raises(ZeroDivisionError), bulkhead.place():
        raise ZeroDivisionError
    with bulkhead.place():
        assert bulkhead.taken == 1
