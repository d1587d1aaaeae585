"""Takes a forgotten text out of the recorded traffic; what it cost, and how it went, stays in the books."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, select

from core.schema import answers, attempts, feedback
from core.types import Json, Scope
from ingest.store import batches

_WORD = re.compile(r"\w{4,}")


def words_of(text: str) -> set[str]:
    """Those of four characters and more: shorter ones tell nothing of where they come from."""
    return set(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


@dataclass(kw_only=True, slots=True)
class _Found:
    answers: list[str] = field(default_factory=list)
    """Ids of those whose words go."""
    questions: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def erase_traffic(connection: Connection, scope: Scope, document_ids: Collection[str], own_words: Collection[str]) -> int:
    """How many recorded answers lost their text: they cite one of the documents, or hold a word that only these had.

    A question stays unless it holds such a word itself. Inside the caller's transaction, which must have written already: an answer
    that is recorded meanwhile then comes after it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE answers IN SHARE ROW EXCLUSIVE MODE")
    found = _find(connection, scope, frozenset(document_ids), frozenset(own_words))
    _blank(connection, answers, answers.c.id, found.answers, {"answer": None, "citations": []})
    _blank(connection, attempts, attempts.c.answer_id, found.answers, {"reason": ""})
    _blank(connection, feedback, feedback.c.answer_id, [*found.answers, *found.labels], {"better_answer": None})
    _blank(connection, answers, answers.c.id, found.questions, {"question": ""})
    return len(found.answers)


def _find(connection: Connection, scope: Scope, document_ids: frozenset[str], own_words: frozenset[str]) -> _Found:
    found = _Found()
    columns = (answers.c.id, answers.c.question, answers.c.answer, answers.c.citations, feedback.c.better_answer)
    query = select(*columns).select_from(answers.outerjoin(feedback)).where(answers.c.tenant == scope.tenant)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        if _cites(row, document_ids) or own_words & words_of(row.answer or ""):
            found.answers.append(row.id)
        if own_words & words_of(row.question):
            found.questions.append(row.id)
        if own_words & words_of(row.better_answer or ""):
            found.labels.append(row.id)
    return found


def _cites(row: Row[*tuple[Any, ...]], document_ids: frozenset[str]) -> bool:
    return any(citation["document_id"] in document_ids for citation in row.citations)


def _blank(connection: Connection, table: Table, key: Column[Any], ids: Iterable[str], values: Json) -> None:
    for batch in batches(ids):
        connection.execute(table.update().where(key.in_(batch)).values(values))
