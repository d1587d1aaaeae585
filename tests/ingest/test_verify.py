"""`verify` finds each kind of difference between SQL and index, names it, and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from core.errors import NothingPublished
from core.schema import chunks, documents, embeddings, index_versions
from core.types import Point
from ingest.publication import published_state
from ingest.rebuild import rebuild
from ingest.store import read_points, read_searchables
from ingest.verify import verify
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from tests.doubles import MemoryIndex
from tests.ingest.conftest import House


@pytest.fixture
def filled(indexed: House) -> House:
    for number in range(5):
        indexed.write(f"{number}.md", f"# Rule {number}\n\nEverybody keeps rule {number} in mind.\n")
    indexed.sync()
    return indexed


def flaws(house: House, **chosen: bool) -> dict[str, int]:
    (checked,) = verify(house.target, **chosen).versions
    return {str(flaw): count for flaw, count in checked.flaws.items()}


def points(house: House) -> list[Point]:
    with house.engine.connect() as connection:
        content = read_searchables(connection, house.scope)
    return list(read_points(house.engine, house.scope, house.embedder.fingerprint, content))


def overwrite(house: House, made: list[Point]) -> None:
    """The published version's index, behind the database's back."""
    house.index.build(
        house.scope, house.version, base=None, embedder=house.embedder.fingerprint, dimensions=house.embedder.dimensions, added=made,
        removed=(),
    )  # fmt: skip


def change(house: House, statement: Any) -> None:
    with house.engine.begin() as connection:
        assert connection.execute(statement).rowcount > 0


def test_index_that_agrees_has_no_flaw(filled: House) -> None:
    report = verify(filled.target)
    (checked,) = report.versions
    assert (report.well, report.version, checked.published) == (True, 1, True)
    assert (checked.documents, checked.chunks, checked.findings) == (5, len(filled.chunk_ids()), ())


@pytest.mark.parametrize(
    ("changed", "flaw"),
    [
        (lambda made: made[1:], "missing"),
        (lambda made: [*made, _like(made[0], chunk_id="f" * 32)], "extra"),
        (lambda made: [_like(made[0], source="elsewhere.md"), *made[1:]], "payload"),
        (lambda made: [_like(made[0], media_type="text/html"), *made[1:]], "payload"),
        (lambda made: [_like(made[0], dense=made[1].dense), *made[1:]], "vector"),
        (lambda made: [_like(made[0], embedded_text="nothing of it"), *made[1:]], "words"),
    ],
)
def test_index_that_differs_is_told(filled: House, changed: Callable[[list[Point]], list[Point]], flaw: str) -> None:
    overwrite(filled, changed(points(filled)))
    report = verify(filled.target)
    (checked,) = report.versions
    assert (report.well, checked.flaws) == (False, {flaw: 1})
    assert checked.findings[0].flaw == flaw and checked.findings[0].chunk_id is not None
    assert flaws(filled) == {flaw: 1}  # nothing was mended
    rebuild(filled.target)
    assert flaws(filled) == {}


def _like(point: Point, **changed: Any) -> Point:
    return Point(**{name: changed.get(name, getattr(point, name)) for name in Point.__dataclass_fields__})


def test_rows_that_are_wrong_are_told(filled: House) -> None:
    one = select(func.min(chunks.c.chunk_id)).scalar_subquery()
    change(filled, update(chunks).where(chunks.c.chunk_id == one).values(embedded_hash="0" * 64))
    assert flaws(filled) == {"hash": 1, "unembedded": 1}


def test_text_that_is_not_at_its_place_is_told(filled: House) -> None:
    one = select(func.min(documents.c.document_id)).scalar_subquery()
    change(filled, update(documents).where(documents.c.document_id == one).values(text="Another text."))
    assert flaws(filled)["text"] >= 1
    assert set(flaws(filled)) == {"text"}


def test_vector_that_is_not_kept_is_told(filled: House) -> None:
    change(filled, delete(embeddings).where(embeddings.c.embedded_hash == select(func.min(embeddings.c.embedded_hash)).scalar_subquery()))
    assert flaws(filled) == {"unembedded": 1}


def test_chunk_without_its_document_is_told(filled: House) -> None:
    one = select(func.min(documents.c.document_id)).scalar_subquery()
    change(filled, delete(documents).where(documents.c.document_id == one))
    assert flaws(filled)["orphan"] == flaws(filled)["extra"] >= 1


def test_chunk_whose_row_is_lost_is_told_and_rebuild_cuts_it_again(filled: House) -> None:
    one = select(func.min(chunks.c.chunk_id)).scalar_subquery()
    before = filled.chunk_ids()
    change(filled, delete(chunks).where(chunks.c.chunk_id == one))
    assert flaws(filled) == {"lost": 1, "extra": 1}
    report = rebuild(filled.target)
    assert (report.changed, report.chunks_embedded, flaws(filled), filled.chunk_ids()) == (1, 0, {}, before)


def test_outline_that_is_damaged_is_told_and_keeps_its_cuts(filled: House) -> None:
    one = select(func.min(documents.c.document_id)).scalar_subquery()
    before = filled.chunk_ids()
    change(filled, update(documents).where(documents.c.document_id == one).values(outline="[broken"))
    assert flaws(filled) == {"text": 1}
    assert (rebuild(filled.target).changed, filled.chunk_ids()) == (0, before)


def test_document_whose_row_is_lost_comes_back_by_the_next_sync(filled: House) -> None:
    one = select(func.min(documents.c.document_id)).scalar_subquery()
    before = filled.chunk_ids()
    change(filled, delete(documents).where(documents.c.document_id == one))
    report = filled.sync()
    assert (report.added, report.chunks_embedded, flaws(filled), filled.chunk_ids()) == (1, 0, {}, before)


def test_chunks_without_their_document_go_by_rebuild(filled: House) -> None:
    one = select(func.min(documents.c.document_id)).scalar_subquery()
    count = len(filled.chunk_ids())
    change(filled, delete(documents).where(documents.c.document_id == one))
    rebuild(filled.target)
    assert flaws(filled) == {} and len(filled.chunk_ids()) == count - 1


def test_published_version_without_its_record_is_built_again_by_the_next_sync(filled: House) -> None:
    change(filled, delete(index_versions))
    assert filled.sync().version == 2
    assert flaws(filled) == {}


def test_every_kept_version_is_verified_with_the_embedder_that_built_it(filled: House) -> None:
    filled.write("5.md", "One more.")
    filled.sync()
    filled.embedder = type(filled.embedder)("words-2")
    rebuild(filled.target)
    report = verify(filled.target, everything=True)
    assert [(each.version, each.published, dict(each.flaws)) for each in report.versions] == [(3, True, {}), (2, False, {}), (1, False, {})]


def test_other_tenant_is_no_part_of_it(filled: House) -> None:
    rival = filled.tenant("rival")
    rival.engine, rival.index = filled.engine, filled.index
    rival.write("a.md", "Theirs.")
    rival.sync()
    assert (flaws(filled), flaws(rival)) == ({}, {})


def test_damaged_file_is_told(filled: House) -> None:
    if isinstance(filled.index, MemoryIndex):
        filled.index.versions.clear()
    elif isinstance(filled.index, ServerIndex):
        filled.index.collect(())
    else:
        assert isinstance(filled.index, EdgeIndex)
        shard = filled.data_dir / "index" / "1" / "shard"
        file = max((path for path in shard.rglob("*") if path.is_file()), key=lambda path: path.stat().st_blocks)
        content = bytearray(file.read_bytes())
        content[content.index(bytes([next(byte for byte in content if byte)]))] ^= 1
        file.write_bytes(content)
    (checked,) = verify(filled.target).versions
    assert (dict(checked.flaws), checked.chunks) == ({"damaged": 1}, 5)
    assert "understudy rebuild" in checked.findings[0].detail


def test_nothing_published_is_said(house: House) -> None:
    with pytest.raises(NothingPublished):
        verify(house.target)


def test_verify_says_the_first_hundred_and_counts_the_rest(house: House) -> None:
    house.write("a.txt", "\n\n".join(f"Rule number {number} of the house is to be kept in mind by everybody." for number in range(400)))
    house.sync()
    count = len(house.chunk_ids())
    overwrite(house, [])
    (checked,) = verify(house.target).versions
    assert (checked.flaws["missing"], len(checked.findings)) == (count, 100)
    assert published_state(house.target)[0].version == 1
