"""One writer at a time, and clear words where nobody can be one."""

from pathlib import Path

import pytest

from core.errors import SyncRunning, Unavailable
from ingest.lock import only_writer, sync_runs
from tests.privileges import without_privileges


def test_second_writer_is_turned_away_and_seen(tmp_path: Path) -> None:
    assert not sync_runs(tmp_path)
    with only_writer(tmp_path):
        assert sync_runs(tmp_path)
        with pytest.raises(SyncRunning), only_writer(tmp_path):
            raise AssertionError("two writers at once")
    assert not sync_runs(tmp_path)


def test_data_directory_that_cannot_be_written_is_said(shared_root: Path) -> None:
    with only_writer(shared_root):
        pass
    shared_root.chmod(0o555)
    with without_privileges():
        with pytest.raises(Unavailable, match=r"\(Permission denied\): who runs this must be able to write"), only_writer(shared_root):
            raise AssertionError("it could be written")
        with pytest.raises(Unavailable, match="Permission denied"):
            sync_runs(shared_root)
    shared_root.chmod(0o755)


def test_data_directory_that_can_only_be_read_is_looked_at(shared_root: Path) -> None:
    with only_writer(shared_root):
        (shared_root / "sync.lock").chmod(0o444)
        shared_root.chmod(0o555)
        with without_privileges():
            assert sync_runs(shared_root)
    with without_privileges():
        assert not sync_runs(shared_root)
    shared_root.chmod(0o755)
