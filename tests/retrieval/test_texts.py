import pytest
from sqlalchemy import Engine, event

from core.database import open_database, sqlite_url
from core.types import Chunk
from retrieval.texts import read_texts
from tests.doubles import MemoryIndex, WordEmbedder
from tests.retrieval.corpus import ACME, RIVAL, TEXTS, make_chunk, publish

OLD = make_chunk(ACME, "people/leave.md", TEXTS["people/leave.md"])
NEW = make_chunk(ACME, "people/leave.md", "Everyone has 30 days of leave.")
FOREIGN = make_chunk(RIVAL, "people/leave.md", "Nobody has leave.")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine, index = open_database(sqlite_url(tmp_path_factory.mktemp("texts"))), MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    publish(engine, index, WordEmbedder(), RIVAL, 2, {"people/leave.md": FOREIGN.text}, base=1)
    publish(engine, index, WordEmbedder(), ACME, 3, TEXTS | {"people/leave.md": NEW.text}, base=2)
    return engine


def test_chunk_comes_with_source_and_title(engine: Engine) -> None:
    with engine.connect() as connection:
        found = read_texts(connection, ACME, 1, [OLD.chunk_id])
    assert found[OLD.chunk_id].chunk == OLD
    assert (found[OLD.chunk_id].source, found[OLD.chunk_id].title) == ("people/leave.md", "PEOPLE/LEAVE.MD")


@pytest.mark.parametrize(("version", "expected"), [(0, []), (1, [OLD]), (2, [OLD]), (3, [NEW]), (9, [NEW])])
def test_version_has_its_own_texts(engine: Engine, version: int, expected: list[Chunk]) -> None:
    with engine.connect() as connection:
        assert list(read_texts(connection, ACME, version, [OLD.chunk_id, NEW.chunk_id])) == [chunk.chunk_id for chunk in expected]


def test_chunk_of_another_tenant_is_left_out(engine: Engine) -> None:
    with engine.connect() as connection:
        assert read_texts(connection, ACME, 3, [FOREIGN.chunk_id]) == {}
        assert set(read_texts(connection, RIVAL, 3, [FOREIGN.chunk_id, NEW.chunk_id])) == {FOREIGN.chunk_id}


def test_unknown_and_no_ids_give_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        assert read_texts(connection, ACME, 1, ["0" * 32]) == {}
        assert read_texts(connection, ACME, 1, []) == {}


def test_all_texts_come_in_one_query(engine: Engine) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with engine.connect() as connection:
        found = read_texts(connection, ACME, 1, [make_chunk(ACME, source, text).chunk_id for source, text in TEXTS.items()])
    assert len(found) == len(TEXTS)
    assert len(statements) == 1
