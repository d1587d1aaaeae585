"""What is forgotten is nowhere: not in a version, not in the books, not in a byte of the data directory."""

import json
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import Engine, event, func, select

from core.database import read_state
from core.errors import Conflict, NotFound, VersionNotKept
from core.schema import answers, attempts, chunks, documents, embeddings, failures, feedback, forgotten, index_versions, jobs
from core.types import Answer, Attempt, Citation, Filters, Hit, Spending, Usage
from generation.journal import record_answer, record_feedback
from generation.ledger import read_ledger
from ingest.documents import put_document
from ingest.forget import forget
from retrieval.index.edge import EdgeIndex
from retrieval.search import HybridRetriever
from tests.doubles import WordEmbedder
from tests.ingest.conftest import CountingEmbedder, House
from tests.ingest.remains import files_holding

SECRET = "The vault in the cellar opens with the word zanzibarquokka."
TOKEN = "zanzibarquokka"
QUESTION = "Which word opens the vault in the cellar?"
ALL = Filters()


def other(number: int) -> str:
    return f"# Rule {number}\n\nEverybody keeps rule {number} of the house in mind.\n"


@pytest.fixture
def embedded(house: House) -> House:
    house.index = EdgeIndex(house.data_dir / "index")
    return house


def fill(house: House) -> str:
    """Three versions: without the secret, with it, and with more of it. Gives the document's id."""
    for number in range(6):
        house.write(f"rules/{number}.md", other(number))
    house.sync()
    house.write("vault.md", f"# Vault\n\n{SECRET}\n")
    house.sync()
    house.write("vault.md", f"# Vault\n\n{SECRET}\n\nNobody tells it.\n")
    house.sync()
    return house.documents()["docs/vault.md"].document_id


def hits(house: House, question: str = QUESTION, as_of: int | None = None, top_k: int = 9) -> tuple[Hit, ...]:
    retriever = HybridRetriever(house.engine, house.index, WordEmbedder(house.embedder.fingerprint), dense_weight=0.5, candidates=100)
    return retriever.retrieve(question, house.scope, retriever.published(as_of), top_k=top_k, filters=ALL)


def answered(house: House, question: str, text: str | None, cited: tuple[Hit, ...], *, version: int, cost: int = 7) -> Answer:
    spent = Spending(cost_micro_usd=cost)
    attempt = Attempt(tier="reader", outcome="accepted", reason=f"it read {text}", confidence=0.9, latency_ms=1, spending=spent)
    citations: tuple[Citation, ...] = tuple(hit.cite(0, len(hit.chunk.text)) for hit in cited)
    return Answer(
        id=f"{abs(hash((question, text))):032x}"[-32:], question=question, answer=text, abstained=text is None, citations=citations,
        mode="tuned", tier="reader", model="m", confidence=0.9, confidence_source="test", route=(attempt,), index_version=version,
        usage=Usage(), cost_micro_usd=cost, timings_ms={"total": 1.0},
    )  # fmt: skip


def record(house: House, *made: Answer) -> None:
    for answer in made:
        record_answer(house.engine, house.scope, answer)


def kept(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(index_versions.c.version).order_by(index_versions.c.version)).scalars())


def rows(house: House, table: object) -> int:
    with house.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_forgotten_document_is_found_in_no_version_and_the_others_are(indexed: House) -> None:
    identity = fill(indexed)
    report = forget(indexed.target, identity)
    assert (report.version, report.documents, report.removed, report.versions_dropped) == (4, 1, 1, (3, 2))
    assert kept(indexed.engine) == [1, 4]
    for as_of in (None, 1, 4):
        found = hits(indexed, as_of=as_of)
        assert len(found) == 6
        assert not any(TOKEN in hit.chunk.text or hit.chunk.document_id == identity for hit in found)
    for gone in (2, 3):
        with pytest.raises(VersionNotKept):
            hits(indexed, as_of=gone)
    assert {hit.source for hit in hits(indexed, "Everybody keeps rule 3", top_k=1)} == {"docs/rules/3.md"}
    assert len(indexed.chunk_ids()) == 6


def test_no_byte_of_the_data_directory_holds_it(embedded: House) -> None:
    """With several versions, traffic, labels, failures, jobs and an upload that a dead server left."""
    house = embedded
    put_document(house.target, "faq", b"# FAQ\n\nAsk Ann about the cellar.", "text/markdown")
    identity = fill(house)
    secret_hits = tuple(hit for hit in hits(house) if hit.chunk.document_id == identity)
    assert secret_hits
    record(
        house,
        answered(house, QUESTION, "zanzibarquokka", secret_hits[:1], version=house.version, cost=11),
        answered(house, "Does zanzibarquokka open it?", None, hits(house, "Everybody keeps rule 3", top_k=1), version=house.version),
        answered(house, "What is it?", f"I think {TOKEN} it is.", (), version=house.version, cost=13),
        answered(house, "What of rule 3?", "Everybody keeps it in mind.", hits(house, "rule 3", top_k=1), version=house.version, cost=5),
    )
    with house.engine.connect() as connection:
        ids = list(connection.execute(select(answers.c.id)).scalars())
    for answer_id in ids:
        record_feedback(house.engine, house.scope, answer_id, False, f"It is {TOKEN}")
    failed = {"version": 3, "failed": [{"source": "docs/vault.md", "reason": f"broke at {TOKEN}"}, {"source": "docs/x.pdf", "reason": "y"}]}
    with house.engine.begin() as connection:
        job = {"job_id": "j", "tenant": "default", "state": "done", "progress": {}, "started_at": 1.0}
        connection.execute(jobs.insert().values(**job, report=failed, error=f"at {TOKEN}"))
        source_id = connection.execute(select(documents.c.source_id).where(documents.c.document_id == identity).limit(1)).scalar_one()
        row = {"tenant": "default", "source_id": source_id, "path": "vault.md", "reason": f"broke at {TOKEN}", "at": 1.0}
        connection.execute(failures.insert().values(row))
    upload = Path(tempfile.mkdtemp(prefix="upload-", dir=house.data_dir))
    (upload / "document.md").write_text(SECRET)
    traces = vectors_of(house, identity)
    assert files_holding(house.data_dir, TOKEN) and files_holding(house.data_dir, *traces)

    report = forget(house.target, "docs/vault.md")

    assert files_holding(house.data_dir, SECRET, TOKEN, "opens with the word", "Nobody tells it") == {}
    assert files_holding(house.data_dir, *traces) == {}
    assert not upload.exists()
    assert (report.answers_erased, report.vectors_erased, report.left) == (2, 2, ())
    assert (house.docs / "vault.md").exists()
    with house.engine.connect() as connection:
        told = connection.execute(select(answers.c.answer).where(answers.c.answer.is_not(None))).scalars().all()
        questions = set(connection.execute(select(answers.c.question)).scalars())
        costs = sorted(connection.execute(select(attempts.c.cost_micro_usd)).scalars())
        job_report = connection.execute(select(jobs.c.report)).scalar_one()
    assert told == ["Everybody keeps it in mind."]
    assert questions == {"", "What is it?", "What of rule 3?"}  # no other document has a vault
    assert costs == [5, 7, 11, 13]
    assert job_report["failed"] == [{"source": "docs/x.pdf", "reason": "y"}]
    assert read_ledger(house.engine, house.scope, since=None, by=()).total.cost_micro_usd == 36
    assert rows(house, feedback) == 4


def vectors_of(house: House, identity: str) -> list[bytes]:
    """What an index would keep of the document: ids of its chunks, both ways round, and the first numbers of its vectors."""
    with house.engine.connect() as connection:
        held = connection.execute(
            select(chunks.c.chunk_id, embeddings.c.vector)
            .join(embeddings, embeddings.c.embedded_hash == chunks.c.embedded_hash)
            .where(chunks.c.document_id == identity)
        ).all()
    ids = [UUID(row.chunk_id).bytes for row in held]
    peaks = [np.frombuffer(row.vector, dtype="<f4") for row in held]
    windows = [vector[place : place + 8].tobytes() for vector in peaks for place in (0, 20, 40)]
    return [*(form for each in ids for form in (each, each[::-1])), *windows]


def test_everything_else_still_answers_and_is_verified_by_a_sync(embedded: House) -> None:
    fill(embedded)
    before = {hit.source: hit.chunk for hit in hits(embedded, "Everybody keeps rule 3 of the house in mind", top_k=9)}
    forget(embedded.target, "docs/vault.md")
    after = {hit.source: hit.chunk for hit in hits(embedded, "Everybody keeps rule 3 of the house in mind", top_k=9)}
    assert after == {source: chunk for source, chunk in before.items() if source != "docs/vault.md"}
    assert embedded.sync().version == 4
    assert embedded.embedder.texts == []


def test_sync_leaves_the_file_out_until_it_is_named_again(house: House) -> None:
    identity = fill(house)
    forget(house.target, str(house.docs / "vault.md"))
    report = house.sync()
    assert (report.version, report.added, report.notes) == (
        4, 0, ("1 forgotten document was left out; `understudy ingest` of its file takes one back",)
    )  # fmt: skip
    house.write("vault.md", "# Vault\n\nAnother word.\n")
    assert house.sync().added == 0
    with pytest.raises(Conflict, match="a file that was forgotten"):
        put_document(house.target, identity, b"Words.", "text/plain")
    assert house.sync(house.docs / "vault.md").added == 1
    assert house.documents()["docs/vault.md"].document_id == identity
    assert rows(house, forgotten) == 0


def test_document_that_was_put_in_comes_back_when_it_is_put_in_again(house: House) -> None:
    put_document(house.target, "faq", SECRET.encode(), "text/plain")
    forget(house.target, "faq", by_id=True)
    assert (rows(house, documents), rows(house, chunks), rows(house, embeddings), rows(house, forgotten)) == (0, 0, 0, 0)
    assert put_document(house.target, "faq", SECRET.encode(), "text/plain").added == 1


def test_document_that_a_sync_removed_is_forgotten_from_the_versions_that_had_it(indexed: House) -> None:
    identity = fill(indexed)
    (indexed.docs / "vault.md").unlink()
    indexed.limits = replace(indexed.limits, keep_versions=9)
    indexed.sync()
    report = forget(indexed.target, identity)
    assert report.versions_dropped == (3, 2)
    assert {1, 4} <= set(kept(indexed.engine))
    assert all(TOKEN not in hit.chunk.text for version in kept(indexed.engine) for hit in hits(indexed, as_of=version))
    if isinstance(indexed.index, EdgeIndex):
        assert files_holding(indexed.data_dir, TOKEN) == {}


def test_version_built_on_one_that_held_it_holds_no_trace(embedded: House) -> None:
    """Its directory is a copy of the one before, in which the engine only marks a point as deleted."""
    house = embedded
    identity = fill(house)
    traces = vectors_of(house, identity)
    (house.docs / "vault.md").unlink()
    house.sync()
    forget(house.target, identity)
    assert kept(house.engine) == [1, 4, 5]
    assert files_holding(house.data_dir / "index", *traces) == {}
    assert [len(hits(house, as_of=version)) for version in (1, 4, 5)] == [6, 6, 6]


def test_source_is_forgotten_with_all_its_documents(house: House) -> None:
    fill(house)
    house.write("b.json", "{")
    house.sync()
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    with pytest.raises(NotFound, match=r"no source 'nothing'.*sources are: docs, api"):
        forget(house.target, "nothing")
    report = forget(house.target, str(house.docs))
    assert (report.documents, report.removed) == (7, 7)
    assert set(house.documents()) == {"api/faq"}
    assert rows(house, failures) == 0
    assert files_holding(house.data_dir, TOKEN) == {}
    (house.root / "c.md").write_text("New.")
    assert house.sync(house.root / "c.md").failed == ()


def test_source_inside_another_is_not_brought_back_by_it(house: House) -> None:
    house.write("a.md", "Words.")
    house.write("private/vault.md", SECRET)
    house.sync(house.docs / "private")
    house.sync()
    assert set(house.documents()) == {"private/vault.md", "docs/a.md"}
    forget(house.target, "private")
    assert (house.sync().added, set(house.documents())) == (0, {"docs/a.md"})
    house.sync(house.docs / "private" / "vault.md")
    assert set(house.documents()) == {"docs/private/vault.md", "docs/a.md"}


def test_name_of_two_things_is_refused(house: House) -> None:
    house.write("a.md", "Words.")
    house.sync()
    put_document(house.target, "docs", b"Ask Ann.", "text/plain")
    with pytest.raises(Conflict, match="a source and a document"):
        forget(house.target, "docs")
    assert forget(house.target, "docs", by_id=True).documents == 1
    assert set(house.documents()) == {"docs/a.md"}


def test_copy_in_another_document_keeps_its_text_and_its_vector(house: House) -> None:
    house.write("a.md", SECRET)
    house.write("b.md", SECRET)
    house.sync()
    record(house, answered(house, QUESTION, TOKEN, hits(house, top_k=9), version=1))
    report = forget(house.target, "docs/a.md")
    assert (report.vectors_erased, report.answers_erased) == (0, 1)
    assert [hit.source for hit in hits(house)] == ["docs/b.md"]


def test_other_tenants_keep_everything(house: House) -> None:
    fill(house)
    rival = house.tenant("rival")
    rival.index, rival.engine = house.index, house.engine
    rival.write("vault.md", SECRET)
    rival.sync()
    record_answer(rival.engine, rival.scope, answered(rival, QUESTION, TOKEN, hits(rival), version=rival.version))
    with pytest.raises(Conflict, match="1 other tenants"):
        forget(house.target, "docs/vault.md")
    report = forget(replace(house.target, everyone=[rival.scope]), "docs/vault.md")
    assert report.answers_erased == 0
    assert [hit.chunk.text for hit in hits(rival)] == [SECRET]
    assert TOKEN not in "".join(hit.chunk.text for hit in hits(house))
    with house.engine.connect() as connection:
        assert connection.execute(select(answers.c.answer)).scalars().all() == [TOKEN]


def test_answer_that_was_under_way_is_recorded_without_its_words(embedded: House) -> None:
    """It had read the text before; a stream may last as long as a request may."""
    fill(embedded)
    under_way = answered(embedded, QUESTION, TOKEN, hits(embedded, top_k=1), version=embedded.version)
    forget(embedded.target, "docs/vault.md")
    record(embedded, under_way, answered(embedded, "What of rule 3?", "It holds.", hits(embedded, "rule 3", top_k=1), version=4))
    assert files_holding(embedded.data_dir, TOKEN) == {}
    with embedded.engine.connect() as connection:
        found = connection.execute(select(answers.c.answer, answers.c.cost_micro_usd).order_by(answers.c.index_version)).all()
    assert [tuple(row) for row in found] == [(None, 7), ("It holds.", 7)]


def test_forgetting_needs_no_embedder_but_the_one_that_built_the_version(embedded: House) -> None:
    fill(embedded)
    embedded.embedder = CountingEmbedder("words-2")
    report = forget(embedded.target, "docs/vault.md")
    assert (report.chunks_embedded, embedded.embedder.texts) == (0, [])
    embedded.embedder = CountingEmbedder("words-1")
    assert len(hits(embedded)) == 6 and embedded.sync().version == report.version


class Held:
    """Somebody reads the database as it was."""

    def __init__(self, house: House) -> None:
        self._connection = sqlite3.connect(house.data_dir / "understudy.db")

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM documents").fetchall()

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_run_that_is_broken_off_after_publishing_is_finished_by_the_next_writer(embedded: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = embedded
    fill(house)
    (house.docs / "vault.md").rename(house.root / "vault.md")
    house.sync()
    with monkeypatch.context() as patched:
        patched.setattr("ingest.erasure.remove_leftovers", _broken)
        with pytest.raises(KeyboardInterrupt):
            forget(house.target, "docs/vault.md")
    with house.engine.connect() as connection:
        assert read_state(connection, "erasing") == "[1, 4]"
    assert TOKEN not in json.dumps([hit.chunk.text for hit in hits(house)])
    house.sync()
    assert files_holding(house.data_dir, TOKEN) == {}
    with house.engine.connect() as connection:
        assert read_state(connection, "erasing") == ""


def _broken(_: Path) -> None:
    raise KeyboardInterrupt


def test_reader_in_the_journal_is_told_of_and_nothing_is_lost(house: House) -> None:
    fill(house)
    event.listen(house.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout = 100"))
    with Held(house), pytest.raises(Conflict, match="still being read or written"):
        forget(house.target, "docs/vault.md")
    assert not any(TOKEN in hit.chunk.text for hit in hits(house))
    house.sync()
    assert files_holding(house.data_dir, TOKEN) == {}


def test_writer_in_the_database_is_told_of_and_nothing_is_lost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(house)
    event.listen(house.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout = 100"))
    other = sqlite3.connect(house.data_dir / "understudy.db", isolation_level=None)

    def lock(data_dir: Path) -> None:
        if not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")

    with monkeypatch.context() as patched:
        patched.setattr("ingest.erasure.remove_leftovers", lock)
        with pytest.raises(Conflict, match="still being read or written"):
            forget(house.target, "docs/vault.md")
    other.close()
    house.sync()
    assert files_holding(house.data_dir, TOKEN) == {}


def test_upload_that_is_under_way_is_left_alone(house: House) -> None:
    from ingest.leftovers import remove_leftovers, upload_folder

    with upload_folder(house.data_dir) as folder:
        remove_leftovers(house.data_dir)
        assert folder.is_dir()
    assert not folder.exists()
