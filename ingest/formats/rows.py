"""Tables as lines that can be read one by one."""

from collections.abc import Iterator, Sequence


def row_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """`Name: Bus cable; Price: 11.40` for each row; cells without a column name stand alone."""
    names = [name.strip().rstrip(":") for name in header]
    if not rows:
        yield _joined(names)
    for row in rows:
        if len(names) == 2 and names[0] == "" and len(row) == 2:
            yield f"{row[0]}: {row[1]}"
        else:
            yield _joined([_cell(names, column, value) for column, value in enumerate(row)])


def plain_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Tables without a header."""
    for row in rows:
        cells = [cell.strip() for cell in row if cell.strip()]
        yield f"{cells[0].rstrip(':')}: {cells[1]}" if len(cells) == 2 else " | ".join(cells)


def _cell(names: Sequence[str], column: int, value: str) -> str:
    value = " ".join(value.split())
    name = names[column] if column < len(names) else ""
    return f"{name}: {value}" if name and value else value


def _joined(cells: Sequence[str]) -> str:
    return "; ".join(cell for cell in cells if cell)
