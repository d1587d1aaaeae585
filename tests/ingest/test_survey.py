"""A sync that looks at some of the sources leaves the others as they are."""

import shutil
from pathlib import Path

from sqlalchemy import select

from core.schema import failures
from ingest.catalog import find_source
from tests.ingest.conftest import House


def source_id(house: House, name: str) -> str:
    with house.engine.connect() as connection:
        return find_source(connection, house.scope, name).source_id


def failed(house: House) -> list[str]:
    with house.engine.connect() as connection:
        return list(connection.execute(select(failures.c.path)).scalars())


def test_only_the_named_sources_are_read(house: House, tmp_path: Path) -> None:
    house.write("a.md", "Words.")
    house.write("../other/b.md", "Other words.")
    house.sync(house.docs, tmp_path / "other")
    house.write("a.md", "New words.")
    house.write("../other/b.md", "New other words.")
    report = house.sync(only=[source_id(house, "docs")])
    assert (report.changed, report.unchanged, report.removed) == (1, 1, 0)
    assert {name: document.text for name, document in house.documents().items()} == {
        "docs/a.md": "New words.",
        "other/b.md": "Other words.",
    }
    assert house.sync().changed == 1


def test_source_that_is_not_read_keeps_its_documents_and_failures(house: House, tmp_path: Path) -> None:
    house.write("a.md", "Words.")
    house.write("../other/b.json", "{")
    house.sync(house.docs, tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    report = house.sync(only=[source_id(house, "docs")])
    assert (report.failed, report.removed, failed(house)) == ((), 0, ["b.json"])
    house.sync(only=[source_id(house, "other")])
    assert failed(house) == [""]


def test_source_inside_another_is_left_out_of_it_also_when_it_is_not_read(house: House) -> None:
    house.write("sub/a.md", "Words.")
    house.write("b.md", "Other words.")
    house.sync(house.docs / "sub")
    house.sync(house.docs)
    report = house.sync(only=[source_id(house, "docs")])
    assert (report.added, report.unchanged) == (0, 2)
