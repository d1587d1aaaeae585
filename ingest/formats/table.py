"""CSV and its kin: a line for each row, with the column's name at every cell."""

import csv
import io

from core.errors import ParseFailed
from ingest.formats.rows import plain_lines, row_lines
from ingest.parsed import Parsed, TextBuilder

_DELIMITERS = ",;\t|"


def parse_csv(text: str) -> Parsed:
    rows = _rows(text)
    builder = TextBuilder()
    for line in row_lines(rows[0], rows[1:]) if _has_header(rows) else plain_lines(rows):
        builder.add("row", line)
    return builder.parsed()


def _rows(text: str) -> list[list[str]]:
    csv.field_size_limit(10_000_000)
    try:
        table = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=_delimiter(text))
        return [row for row in table if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ParseFailed(f"is not a table that can be read: {error}") from error


def _delimiter(text: str) -> str:
    """The one that splits the first lines most evenly."""
    lines = [line for line in text.split("\n", 20)[:20] if line.strip()]
    return max(_DELIMITERS, key=lambda delimiter: min((line.count(delimiter) for line in lines), default=0))


def _has_header(rows: list[list[str]]) -> bool:
    """Names, all there and none a number."""
    first = [cell.strip() for cell in rows[0]] if rows else []
    return len(rows) > 1 and len(first) > 1 and all(first) and not any(_is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    return bool(cell) and cell.strip("+-€$%").replace(",", "").replace(".", "").isdigit()
