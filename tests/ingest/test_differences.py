"""What differs between two versions, from SQL alone."""

from collections import Counter
from dataclasses import replace

from sqlalchemy import select

from core.schema import chunks
from core.versions import alive
from ingest.differences import Difference, differences
from ingest.history import chunk_texts_at, chunks_at, documents_at, texts_at
from tests.ingest.conftest import House

HANDBOOK = "# Leave\n\n" + "\n\n".join(
    f"Rule number {number} says that everybody gets {number} days of leave in a year. It holds for all offices from day {number} on."
    for number in range(1, 21)
)


def compared(house: House, one: int, other: int) -> list[Difference]:
    with house.engine.connect() as connection:
        return differences(connection, house.scope, one, other)


def told(found: list[Difference]) -> list[tuple[str, str, int, int, int]]:
    return [(each.change, each.shown.source, each.count("added"), each.count("removed"), each.count("kept")) for each in found]


def texts(house: House, version: int) -> Counter[str]:
    with house.engine.connect() as connection:
        return Counter(connection.execute(select(chunks.c.text).where(alive(chunks, version))).scalars())


def test_edit_shows_the_chunks_that_it_touched_and_no_others(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.write("other.md", "Other words.")
    house.sync()
    house.write("leave.md", HANDBOOK.replace("gets 7 days", "gets 70 days"))
    house.sync()
    (found,) = compared(house, 1, 2)
    count = len(house.chunk_ids()) - 1
    assert told([found]) == [("changed", "docs/leave.md", 1, 1, count - 1)]
    with house.engine.connect() as connection:
        (old,) = chunk_texts_at(
            connection, house.scope, 1, [each.chunk.chunk_id for each in found.chunks if each.change == "removed"]
        ).values()
        (new,) = chunk_texts_at(
            connection, house.scope, 2, [each.chunk.chunk_id for each in found.chunks if each.change == "added"]
        ).values()
    assert (old.replace("gets 7 days", "gets 70 days"), {each.chunk.heading for each in found.chunks}) == (new, {"Leave"})


def test_paragraph_on_top_moves_chunks_that_are_kept(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    before = len(house.chunk_ids())
    house.write("leave.md", HANDBOOK.replace("# Leave", "# News\n\nThe policy was checked by the works council in May.\n\n# Leave"))
    house.sync()
    assert told(compared(house, 1, 2)) == [("changed", "docs/leave.md", 1, 0, before)]


def test_added_and_removed_documents(house: House) -> None:
    house.write("a.md", "Words of a.")
    house.sync()
    (house.docs / "a.md").unlink()
    house.write("b.md", "Words of b.")
    house.sync()
    forth, back = compared(house, 1, 2), compared(house, 2, 1)
    assert told(forth) == [("removed", "docs/a.md", 0, 1, 0), ("added", "docs/b.md", 1, 0, 0)]
    assert told(back) == [("added", "docs/a.md", 1, 0, 0), ("removed", "docs/b.md", 0, 1, 0)]


def test_renamed_document_keeps_its_chunks(house: House) -> None:
    file = house.write("leave.md", HANDBOOK)
    house.sync()
    count = len(house.chunk_ids())
    file.rename(house.docs / "holidays.md")
    house.sync()
    (found,) = compared(house, 1, 2)
    assert told([found]) == [("renamed", "docs/holidays.md", 0, 0, count)]
    assert found.before is not None and found.before.source == "docs/leave.md"


def test_two_equal_documents_one_of_which_moves(house: House) -> None:
    for name in ("a.md", "b.md"):
        house.write(name, "The same words.")
    house.sync()
    (house.docs / "b.md").rename(house.docs / "c.md")
    (house.docs / "a.md").unlink()
    house.sync()
    assert [(each.change, each.shown.source) for each in compared(house, 1, 2)] == [("removed", "docs/b.md"), ("renamed", "docs/c.md")]


def test_what_changed_back_does_not_differ(house: House) -> None:
    for text in ("One word.", "Another word.", "One word."):
        house.write("a.md", text)
        house.sync()
    assert compared(house, 1, 3) == compared(house, 2, 2) == []
    assert [each.change for each in compared(house, 1, 2)] == ["changed"]


def test_file_that_became_a_source_of_other_settings_is_changed_though_its_text_is_not(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    house.limits = replace(house.limits, min_chunk_tokens=20, max_chunk_tokens=90)
    house.sync()
    (found,) = compared(house, 1, 2)
    assert found.change == "changed" and found.count("added") and found.count("removed")


def test_other_tenants_do_not_show(house: House) -> None:
    house.write("a.md", "Words.")
    house.sync()
    other = house.tenant("other")
    other.write("b.md", "Their words.")
    other.sync()
    assert compared(house, 1, 2) == []
    assert told(compared(other, 1, 2)) == [("added", "docs/b.md", 1, 0, 0)]


def test_numbers_add_up_over_a_history(house: House) -> None:
    """Old chunks, less the removed, plus the added, are the new ones, text for text, between any two versions."""
    house.limits = replace(house.limits, keep_versions=9)
    pages = {f"{name}.md": HANDBOOK.replace("Rule", f"{name.title()} rule") for name in ("north", "south", "east")}
    steps: list[dict[str, str | None]] = [
        {**pages},
        {"north.md": pages["north.md"].replace("gets 3 days", "gets 33 days")},
        {"south.md": None, "southern.md": pages["south.md"]},
        {"east.md": None, "west.md": "# West\n\nNothing of the others is here."},
        {"north.md": pages["north.md"], "south.md": pages["south.md"] + "\n\nOne more."},
    ]
    for step in steps:
        for name, text in step.items():
            (house.docs / name).unlink() if text is None else house.write(name, text)
        house.sync()
    for one in range(1, 6):
        for other in range(1, 6):
            found = compared(house, one, other)
            with house.engine.connect() as connection:
                removed, added = (
                    Counter(
                        text
                        for each in found
                        for text in chunk_texts_at(
                            connection, house.scope, version, [chunk.chunk.chunk_id for chunk in each.chunks if chunk.change == change]
                        ).values()
                    )
                    for version, change in ((one, "removed"), (other, "added"))
                )
            assert texts(house, one) - removed + added == texts(house, other)


def test_documents_and_chunks_are_read_as_they_were(house: House) -> None:
    for days in (25, 26):
        house.write("leave.md", f"# Leave\n\nEverybody has {days} days.")
        house.sync()
    (identity,) = (document.document_id for document in house.documents().values())
    with house.engine.connect() as connection:
        for version, days in ((1, 25), (2, 26)):
            text = texts_at(connection, house.scope, version, [identity])[identity]
            (chunk,) = chunks_at(connection, house.scope, version, [identity])[identity]
            assert f"has {days} days" in text and text[chunk.start : chunk.end] == chunk.text
            assert documents_at(connection, house.scope, version, [identity])[identity].title == "Leave"
