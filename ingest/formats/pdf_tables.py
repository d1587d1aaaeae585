"""Tables on PDF pages: lines whose cells stand in the same columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.formats.pdf_lines import Cell, Line
from ingest.formats.rows import plain_lines, row_lines

_SHORT_CELL = 30


@dataclass(frozen=True, slots=True)
class Table:
    lines: int
    """How many lines of the page it takes."""
    header: Line | None
    rows: tuple[tuple[str, ...], ...]

    def texts(self) -> Iterator[str]:
        if self.header is None:
            return plain_lines(self.rows)
        return row_lines([cell.text for cell in self.header.cells], self.rows)


def table_at(lines: Sequence[Line], position: int, header: Line | None) -> Table | None:
    """The table that begins on this line; one that was interrupted by a page goes on under its `header`."""
    first = lines[position]
    if len(first.cells) < 2:
        return None
    continues = header is not None and _same_columns(header, first)
    if not continues:
        header = first if _names_columns(first) else None
    taken = _taken(lines, position)
    if (len(taken) < 2 and not continues) or not _is_tabular([line for line in taken if len(line.cells) == len(first.cells)]):
        return None
    rows = tuple(_rows(first, taken))
    return Table(lines=len(taken), header=header, rows=rows[1:] if header is first else rows)


def _taken(lines: Sequence[Line], position: int) -> list[Line]:
    """Lines from here on in these columns; below two columns the second line must fill both to be believed."""
    first, taken = lines[position], [lines[position]]
    for line in lines[position + 1 :]:
        is_full = _same_columns(first, line)
        if not is_full and ((len(taken) == 1 and len(first.cells) < 3) or not _fits(first, taken, line)):
            break
        taken.append(line)
    return taken


def _fits(first: Line, taken: Sequence[Line], line: Line) -> bool:
    """Part of a row: fewer cells, each in a column of its own, below the first line and near the others."""
    columns = [_column(first, cell) for cell in line.cells]
    lowest = min(before.bottom for before in taken)
    is_near = first.page == line.page and first.bottom >= line.top > lowest - 2.5 * line.size and abs(first.size - line.size) < 0.6
    return is_near and None not in columns and len(set(columns)) == len(columns) < len(first.cells)


def _rows(first: Line, lines: Sequence[Line]) -> Iterator[tuple[str, ...]]:
    """Lines beside each other belong to one row, and those that leave columns free and are closer than rows are."""
    tight = _tight(lines)
    row: list[list[str]] = []
    bottom = 0.0
    for line in lines:
        limit = -0.3 * line.size if len(line.cells) == len(first.cells) else tight
        if row and (line.page != first.page or bottom - line.top >= limit):
            yield tuple(" ".join(cell) for cell in row)
            row = []
        bottom = min(bottom, line.bottom) if row else line.bottom
        row = row or [[] for _ in first.cells]
        _fill(row, first, line)
    yield tuple(" ".join(cell) for cell in row)


def _tight(lines: Sequence[Line]) -> float:
    """Half of the space between the first two rows; none where rows follow each other like lines of prose."""
    space = lines[0].bottom - lines[1].top if len(lines) > 1 else 0.0
    return space / 2 if space > 0.3 * lines[0].size else -0.1


def _fill(row: list[list[str]], first: Line, line: Line) -> None:
    for position, cell in enumerate(line.cells):
        column = position if len(line.cells) == len(first.cells) else _column(first, cell)
        row[column or 0].append(cell.text)


def _column(first: Line, cell: Cell) -> int | None:
    matching = [column for column, above in enumerate(first.cells) if _aligned(above, cell, first.size)]
    return matching[0] if len(matching) == 1 else None


def _same_columns(left: Line, right: Line) -> bool:
    pairs = zip(left.cells, right.cells, strict=False)
    return len(left.cells) == len(right.cells) and all(_aligned(above, below, left.size) for above, below in pairs)


def _aligned(above: Cell, below: Cell, size: float) -> bool:
    overlap = above.left < below.right and below.left < above.right
    return overlap or abs(above.left - below.left) < size or abs(above.right - below.right) < size


def _names_columns(line: Line) -> bool:
    """Neither values nor the beginning of a list of names and values."""
    return not any(character.isdigit() for character in line.text) and not line.cells[0].text.endswith(":")


def _is_tabular(lines: Sequence[Line]) -> bool:
    """Two columns of prose side by side are no table."""
    columns = zip(*(line.cells for line in lines), strict=True)
    return any(max(len(cell.text) for cell in column) <= _SHORT_CELL for column in columns)
