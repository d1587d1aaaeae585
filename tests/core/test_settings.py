import pytest
from pydantic import ValidationError

from core.settings import IngestSettings


def test_one_kept_version_is_refused_since_requests_still_read_the_one_before() -> None:
    assert IngestSettings(keep_versions=2).keep_versions == 2
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        IngestSettings(keep_versions=1)
