"""Single documents go the same way as files."""

import pytest

from core.errors import Conflict, InvalidInput, NotFound, ParseFailed
from ingest.documents import delete_document, put_document
from tests.ingest.conftest import House


def test_put_document_adds_replaces_and_survives_a_sync(house: House) -> None:
    added = put_document(house.target, "faq", b"# FAQ\n\nAsk Ann.", "text/markdown", title="Questions")
    assert (added.version, added.added, added.chunks_embedded) == (1, 1, 1)
    assert house.documents()["api/faq"].document_id == "faq" and house.documents()["api/faq"].title == "Questions"
    changed = put_document(house.target, "faq", b"# FAQ\n\nAsk Bob.", "text/markdown", title="Questions")
    assert (changed.version, changed.changed, changed.added) == (2, 1, 0)
    again = put_document(house.target, "faq", b"# FAQ\n\nAsk Bob.", "text/markdown", title="Questions")
    assert (again.version, again.unchanged) == (2, 1)
    house.write("a.md", "Words.")
    house.sync()
    assert {source: document.text for source, document in house.documents().items()} == {
        "api/faq": "FAQ\n\nAsk Bob.",
        "docs/a.md": "Words.",
    }
    assert len(house.chunk_ids()) == 2


def test_put_document_under_another_source_renames_it_everywhere(house: House) -> None:
    put_document(house.target, "faq", b"Ask Ann.", "text/plain", shown_as="help/faq")
    report = put_document(house.target, "faq", b"Ask Ann.", "text/plain", shown_as="support/faq")
    assert (report.changed, report.chunks_embedded) == (1, 0)
    (point,) = house.index.versions[house.version][1].values()  # type: ignore[attr-defined]
    assert point.source == "support/faq" and set(house.documents()) == {"support/faq"}


@pytest.mark.parametrize("identity", ["", "a b", "../a", "x" * 33, ".hidden"])
def test_put_document_refuses_ids_that_are_none(house: House, identity: str) -> None:
    with pytest.raises(InvalidInput, match="document id"):
        put_document(house.target, identity, b"Words.", "text/plain")


def test_put_document_that_cannot_be_parsed_changes_nothing(house: House) -> None:
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    with pytest.raises(ParseFailed, match="not a PDF"):
        put_document(house.target, "faq", b"nonsense", "application/pdf")
    with pytest.raises(ParseFailed, match="image/png"):
        put_document(house.target, "faq", b"nonsense", "image/png")
    assert house.documents()["api/faq"].text == "Ask Ann."


def test_delete_document_takes_it_out(house: House) -> None:
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    assert delete_document(house.target, "faq").removed == 1
    assert house.documents() == {} and house.chunk_ids() == set()
    with pytest.raises(NotFound, match="'faq'"):
        delete_document(house.target, "faq")


def test_document_of_a_file_is_changed_by_its_file_alone(house: House) -> None:
    house.write("a.md", "Words.")
    house.sync()
    identity = house.documents()["docs/a.md"].document_id
    with pytest.raises(Conflict, match="stands for a file"):
        delete_document(house.target, identity)
    with pytest.raises(Conflict, match="stands for a file"):
        put_document(house.target, identity, b"Other words.", "text/plain")


def test_tenants_do_not_see_each_other(house: House) -> None:
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    other = house.tenant("other")
    put_document(other.target, "faq", b"Ask Bob.", "text/plain")
    assert (house.documents()["api/faq"].text, other.documents()["api/faq"].text) == ("Ask Ann.", "Ask Bob.")
    assert not house.chunk_ids() & other.chunk_ids()
    delete_document(other.target, "faq")
    assert len(house.chunk_ids()) == 1 and other.chunk_ids() == set()
