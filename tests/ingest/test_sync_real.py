"""The same promises on the real engine and the real model, and through the death of the process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from core.database import open_database, sqlite_url
from core.errors import CorruptIndex, StorageFull
from core.protocols import Embedder
from core.types import Filters, Scope
from ingest.rebuild import rebuild
from ingest.sync import sync
from ingest.target import DEFAULT_LIMITS
from retrieval.index.edge import EdgeIndex
from retrieval.search import HybridRetriever
from tests.ingest.conftest import House

ROOT = Path(__file__).parents[2]
SCOPE = Scope(tenant="default")
STEPS = ("listing", "parsing", "embedding", "building", "publishing")


@pytest.fixture
def edge_house(house: House) -> House:
    return replace(house, index=EdgeIndex(house.data_dir / "index"))


def test_real_parts_follow_an_edit_and_a_removal(edge_house: House, minilm: Embedder) -> None:
    house = edge_house
    retriever = HybridRetriever(house.engine, house.index, minilm, dense_weight=0.5, candidates=100)

    def best(question: str) -> str:
        hits = retriever.retrieve(question, SCOPE, retriever.published(), top_k=1, filters=Filters())
        (found,) = (document for document in house.documents().values() if document.document_id == hits[0].chunk.document_id)
        assert found.text[hits[0].chunk.start : hits[0].chunk.end] == hits[0].chunk.text
        return hits[0].chunk.text

    def run() -> int:
        report = sync(replace(house.target, embedder=minilm, limits=DEFAULT_LIMITS), [house.docs])
        assert report.failed == ()
        return report.chunks_embedded

    house.write(
        "travel.md", "# Travel\n\n## Hotels\n\nThe limit for a hotel is 105 euros a night.\n\n## Trains\n\nFirst class after two hours."
    )
    house.write("pay.html", "<h1>Pay</h1><p>Salaries are paid on the 25th of each month.</p>")
    assert run() == 3
    assert "105 euros" in best("How much may a hotel cost?")
    house.write(
        "travel.md", "# Travel\n\n## Hotels\n\nThe limit for a hotel is 135 euros a night.\n\n## Trains\n\nFirst class after two hours."
    )
    assert run() == 1
    assert "135 euros" in best("How much may a hotel cost?")
    (house.docs / "travel.md").unlink()
    assert run() == 0
    assert best("How much may a hotel cost?") == "Salaries are paid on the 25th of each month."


def test_damaged_index_says_what_to_do_and_is_built_again_by_the_next_sync_without_the_model(edge_house: House) -> None:
    house = edge_house
    house.write("a.md", "Words that stand here.")
    house.sync()
    for file in (house.data_dir / "index" / "1").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    with pytest.raises(CorruptIndex, match="understudy rebuild"):
        house.index.open(1, embedder=house.embedder.fingerprint)
    house.write("a.md", "Words that stand here now.")
    report = house.sync()
    assert (report.changed, report.chunks_embedded) == (1, 1)  # the new text alone
    assert report.notes == ("the index was damaged or gone, and was built again from the database",)
    assert len(house.chunk_ids()) == 1


def test_removed_index_is_noticed_and_built_again_without_a_change_and_without_the_model(edge_house: House) -> None:
    house = edge_house
    house.write("a.md", "Words that stand here.")
    house.sync()
    subprocess.run(["rm", "-r", str(house.data_dir / "index")], check=True)
    report = house.sync()
    assert (report.version, report.unchanged, report.chunks_embedded, len(report.notes)) == (2, 1, 0, 1)
    assert rebuild(house.target).chunks_embedded == 0
    assert len(house.chunk_ids()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("only the superuser can make a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_disk_that_is_really_full_leaves_the_old_version(house: House, small_disk: Path) -> None:
    house.engine.dispose()
    house = replace(house, engine=open_database(sqlite_url(small_disk)), index=EdgeIndex(house.root / "index"))
    house.write("a.md", "Old words.")
    house.sync()
    house.write("a.md", "\n\n".join(f"New words of paragraph {number} and some more of them." for number in range(20_000)))
    with pytest.raises(StorageFull):
        house.sync()
    assert house.documents()["docs/a.md"].text == "Old words." and len(house.chunk_ids()) == 1
    house.write("a.md", "New words.")
    assert house.sync().changed == 1
    house.engine.dispose()


def test_disk_without_room_for_the_index_leaves_no_scrap(edge_house: House) -> None:
    house = edge_house
    house.write("a.md", "Old words.")
    house.sync()
    house.index = EdgeIndex(house.data_dir / "index", spare_bytes=1 << 60)
    house.write("a.md", "New words.")
    with pytest.raises(StorageFull):
        house.sync()
    assert house.documents()["docs/a.md"].text == "Old words."
    assert [path.name for path in (house.data_dir / "index").iterdir() if path.is_dir()] == ["1"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_sync_loses_nothing_and_the_next_one_heals_it(edge_house: House, step: str) -> None:
    house = edge_house
    house.write("a.md", "# A\n\nOld words of the first.")
    house.write("b.md", "# B\n\nWords of the second.")
    house.sync()
    published, ids = house.version, house.chunk_ids()
    house.write("a.md", "# A\n\nNew words of the first.")
    (house.docs / "b.md").rename(house.docs / "c.md")
    house.engine.dispose()
    child = subprocess.run([sys.executable, "-c", KILLED, str(house.root), step], cwd=ROOT, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    house.engine = create_engine(house.engine.url)
    assert (house.version, house.chunk_ids()) == (published, ids)
    report = house.sync()
    assert (report.changed, report.renamed, report.failed) == (1, 1, ())
    assert report.chunks_embedded == (0 if step in ("building", "publishing") else 1)
    assert {source: document.text for source, document in house.documents().items()} == {
        "docs/a.md": "A\n\nNew words of the first.",
        "docs/c.md": "B\n\nWords of the second.",
    }
    assert len(house.chunk_ids()) == 2
    kept = {path.name for path in (house.data_dir / "index").iterdir() if path.is_dir()}
    assert kept == {str(published), str(report.version)}
    house.engine.dispose()


KILLED = """
import os, signal, sys
from pathlib import Path
from core.database import open_database, sqlite_url
from core.types import Scope
from ingest.sync import sync
from ingest.target import Limits, Target
from retrieval.index.edge import EdgeIndex
from tests.doubles import WordEmbedder

root, step = Path(sys.argv[1]), sys.argv[2]

def die(progress):
    if progress.step == step and (step != "parsing" or progress.documents):
        os.kill(os.getpid(), signal.SIGKILL)

data = root / "data"
sync(Target(
    engine=open_database(sqlite_url(data)), index=EdgeIndex(data / "index"), embedder=WordEmbedder(), scope=Scope(tenant="default"),
    data_dir=data, limits=Limits(min_chunk_tokens=8, max_chunk_tokens=30), on_progress=die,
))
"""
