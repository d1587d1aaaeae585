"""The smallest pieces that a chunk is made of: sentences, list items, table rows, lines of code."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from core.sentences import sentences
from ingest.parsed import Block, Parsed

CountTokens: TypeAlias = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    start: int
    end: int
    tokens: int
    ends_block: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    headings: tuple[str, ...]
    """Outermost first."""
    units: tuple[Unit, ...]


_Span: TypeAlias = tuple[int, int, bool]


def sections(parsed: Parsed, max_tokens: int, count_tokens: CountTokens) -> Iterator[Section]:
    """The text under each heading; a heading over nothing stands for itself."""
    found = [(headings, [span for block in blocks for span in _spans(parsed.text, block)]) for headings, blocks in _outline(parsed)]
    counts = iter(count_tokens([parsed.text[start:end] for _, spans in found for start, end, _ in spans]))
    for headings, spans in found:
        units = [unit for span in spans for unit in _sized(parsed.text, span, next(counts), max_tokens, count_tokens)]
        yield Section(headings=headings, units=tuple(units))


def _outline(parsed: Parsed) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    path = _root(parsed)
    groups = [(is_heading, list(blocks)) for is_heading, blocks in groupby(parsed.blocks, key=lambda block: block.kind == "heading")]
    for position, (is_heading, blocks) in enumerate(groups):
        if not is_heading:
            yield _names(path), blocks
            continue
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            parents = [step for step in path if step[0] < block.level]
            path = [*parents, (block.level, parsed.text[block.start : block.end])]
            is_last = following is None and position == len(groups) - 1
            if is_last or (following is not None and following.level <= block.level):
                yield _names(parents), [block]


def _root(parsed: Parsed) -> list[tuple[int, str]]:
    """The title stands above everything where no heading of the first level does."""
    has_name = any(block.kind == "heading" and block.level <= 1 for block in parsed.blocks)
    return [(0, parsed.title)] if parsed.title and not has_name else []


def _names(path: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(name for _, name in path)


def _spans(text: str, block: Block) -> list[_Span]:
    if block.kind == "code":
        spans = _lines(text, block)
    elif block.kind == "row":
        spans = [(block.start, block.end)]
    else:
        spans = [(block.start + start, block.start + end) for start, end in sentences(text[block.start : block.end])]
        if block.kind == "item":
            spans = [(spans[0][0], spans[-1][1])]
    return [(start, end, position == len(spans) - 1) for position, (start, end) in enumerate(spans)]


def _lines(text: str, block: Block) -> list[tuple[int, int]]:
    spans, start = [], block.start
    for line in text[block.start : block.end].split("\n"):
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _sized(text: str, span: _Span, tokens: int, max_tokens: int, count_tokens: CountTokens) -> Iterator[Unit]:
    """The unit, or its parts where it is longer than a chunk may be."""
    start, end, ends_block = span
    if tokens <= max_tokens:
        yield Unit(start=start, end=end, tokens=tokens, ends_block=ends_block)
        return
    pieces = _halves(text, start, end, max_tokens, count_tokens)
    for position, (piece_start, piece_end, piece_tokens) in enumerate(pieces):
        last = position == len(pieces) - 1
        yield Unit(start=piece_start, end=piece_end, tokens=piece_tokens, ends_block=ends_block and last)


def _halves(text: str, start: int, end: int, max_tokens: int, count_tokens: CountTokens) -> list[tuple[int, int, int]]:
    """Parts that fit: sentences if there are several, else cut where a word begins nearest the middle."""
    pending, pieces = [(start, end)], []
    while pending:
        start, end = pending.pop()
        (tokens,) = count_tokens([text[start:end]])
        if tokens <= max_tokens or end - start < 2:
            pieces.append((start, end, tokens))
        else:
            left, right = _bisect(text, start, end)
            pending += [(right, end), (start, left)]
    return pieces


def _bisect(text: str, start: int, end: int) -> tuple[int, int]:
    """(end of the left part, start of the right part)."""
    inner = [(start + left, start + right) for left, right in sentences(text[start:end])]
    middle = (start + end) // 2
    if len(inner) > 1:
        cut = min(range(1, len(inner)), key=lambda index: abs(inner[index][0] - middle))
        return inner[cut - 1][1], inner[cut][0]
    before, after = text.rfind(" ", start + 1, middle), text.find(" ", middle, end - 1)
    if before < 0 and after < 0:
        return middle, middle
    space = before if after < 0 or (before >= 0 and middle - before <= after - middle) else after
    return _trimmed_end(text, start, space), _trimmed_start(text, space, end)


def _trimmed_end(text: str, start: int, end: int) -> int:
    while end > start + 1 and text[end - 1].isspace():
        end -= 1
    return end


def _trimmed_start(text: str, start: int, end: int) -> int:
    while start < end - 1 and text[start].isspace():
        start += 1
    return start
