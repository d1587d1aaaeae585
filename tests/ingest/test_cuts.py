"""Chunks are exact, fit their window, cover the text, and change where the text changes and nowhere else."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.protocols import Embedder
from core.types import Chunk
from ingest.cuts import ContentCuts, embedded_hash, make_chunks
from ingest.parse import parse
from ingest.parsed import Parsed

WINDOW, MIN, MAX = 60, 10, 40
WORDS = "dock bike rider leave office travel hotel crew station battery fault code price year month team lead ask wait".split()


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def chunked(text: str, document: str = "d") -> tuple[Chunk, ...]:
    parsed = parse(text.encode(), "text/markdown")
    return chunks_of(parsed, document)


def chunks_of(parsed: Parsed, document: str = "d") -> tuple[Chunk, ...]:
    cuts = ContentCuts(count_words, window=WINDOW, min_tokens=MIN, max_tokens=MAX)
    return make_chunks("t", document, parsed.text, cuts.cut(parsed))


@st.composite
def markdown(draw: st.DrawFn) -> str:
    """Headings, paragraphs, lists, code and a table, of words that repeat."""
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
    sentence = words.map(lambda text: text.capitalize() + ".")
    paragraph = st.lists(sentence, min_size=1, max_size=9).map(" ".join)
    item = sentence.map(lambda text: f"- {text}")
    heading = st.tuples(st.integers(1, 4), words).map(lambda pair: f"{'#' * pair[0]} {pair[1]}")
    code = st.lists(words, min_size=1, max_size=6).map(lambda lines: "```\n" + "\n".join(lines) + "\n```")
    giant = st.integers(50, 200).map(lambda count: " ".join(WORDS[index % len(WORDS)] for index in range(count)))
    block = st.one_of(heading, paragraph, paragraph, st.lists(item, min_size=1, max_size=8).map("\n".join), code, giant)
    return "\n\n".join(draw(st.lists(block, min_size=1, max_size=25)))


@settings(max_examples=150, deadline=None)
@given(markdown())
def test_chunks_are_exact_ordered_unique_and_fit(text: str) -> None:
    parsed = parse(text.encode(), "text/markdown")
    chunks = chunks_of(parsed)
    end = 0
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal and chunk.start >= end
        assert chunk.text == parsed.text[chunk.start : chunk.end] == chunk.text.strip() != ""
        assert count_words([chunk.text])[0] <= MAX and count_words([chunk.embedded_text])[0] <= WINDOW
        end = chunk.end
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    assert all(len(chunk.chunk_id) == 32 for chunk in chunks)


@settings(max_examples=150, deadline=None)
@given(markdown())
def test_chunks_cover_all_text_under_headings(text: str) -> None:
    parsed = parse(text.encode(), "text/markdown")
    covered = [False] * len(parsed.text)
    for chunk in chunks_of(parsed):
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    for block in parsed.blocks:
        inside = (covered[position] or parsed.text[position].isspace() for position in range(block.start, block.end))
        assert block.kind == "heading" or all(inside)


@settings(max_examples=100, deadline=None)
@given(markdown(), st.integers(0, 10_000))
def test_chunks_of_one_text_are_always_the_same(text: str, _: int) -> None:
    assert chunked(text) == chunked(text)


def prose(seed: int, sentences: int = 400) -> list[str]:
    """One long section without headings, the hardest case: nothing but the sentences can say where to cut."""
    choose = random.Random(seed)
    return [" ".join(choose.choices(WORDS, k=choose.randint(3, 15))).capitalize() + f" {number}." for number in range(sentences)]


def paragraphs(sentences: Sequence[str], size: int) -> str:
    return "\n\n".join(" ".join(sentences[start : start + size]) for start in range(0, len(sentences), size))


@pytest.mark.parametrize("size", [1, 4, 400])
@pytest.mark.parametrize("seed", range(5))
def test_edit_changes_only_the_chunks_around_it(seed: int, size: int) -> None:
    sentences = prose(seed)
    edited = list(sentences)
    edited[200] = "Something else is true now."
    assert changed(paragraphs(sentences, size), paragraphs(edited, size)) <= 6


@pytest.mark.parametrize("size", [1, 4, 400])
@pytest.mark.parametrize("seed", range(5))
def test_paragraph_at_the_top_moves_no_cut_far_below(seed: int, size: int) -> None:
    text = paragraphs(prose(seed), size)
    assert changed(text, "A new paragraph came in at the top of all. It has two sentences.\n\n" + text) <= 6


@pytest.mark.parametrize("seed", range(5))
def test_removed_sentence_changes_only_the_chunks_around_it(seed: int) -> None:
    sentences = prose(seed)
    assert changed(" ".join(sentences), " ".join(sentences[:100] + sentences[101:])) <= 6


def changed(before: str, after: str) -> int:
    """Chunks that have to be embedded for the edit."""
    return len({embedded_hash(chunk) for chunk in chunked(after)} - {embedded_hash(chunk) for chunk in chunked(before)})


def test_prose_is_cut_into_several_chunks_of_middling_size() -> None:
    sizes = count_words([chunk.text for chunk in chunked(paragraphs(prose(1), 4))])
    assert min(sizes) >= MIN and 18 <= sum(sizes) / len(sizes) <= MAX


def test_headings_cut_and_give_their_path() -> None:
    chunks = chunked("# Travel\n\nAsk first.\n\n## France\n\nTake the train.\n\n## Empty\n\n# Pay\n\nOn the 25th.")
    assert [(chunk.heading, chunk.text) for chunk in chunks] == [
        ("Travel", "Ask first."),
        ("Travel > France", "Take the train."),
        ("Travel", "Empty"),
        ("Pay", "On the 25th."),
    ]


def test_title_stands_above_where_no_first_heading_does() -> None:
    assert [chunk.heading for chunk in chunked("---\ntitle: Travel\n---\nAsk.\n\n## France\n\nTrain.")] == ["Travel", "Travel > France"]
    assert [chunk.heading for chunk in chunked("---\ntitle: Other\n---\n# Travel\n\nAsk.")] == ["Travel"]


def test_long_headings_leave_room_for_the_text() -> None:
    heading = " ".join(WORDS * 3)
    (chunk,) = chunked(f"# {heading}\n\nWords.")
    assert 0 < count_words([chunk.heading])[0] <= WINDOW - MAX and heading.startswith(chunk.heading)


def test_equal_chunks_of_a_document_have_ids_of_their_own() -> None:
    first, second = chunked("# A\n\nSame.\n\n# A\n\nSame.")
    assert first.chunk_id != second.chunk_id and embedded_hash(first) == embedded_hash(second)
    assert chunked("# A\n\nSame.", "other")[0].chunk_id != first.chunk_id


def test_white_space_changes_neither_id_nor_vector() -> None:
    before, after = chunked("Some\nwords  here.")[0], chunked("Some words here.")[0]
    assert (before.chunk_id, embedded_hash(before)) == (after.chunk_id, embedded_hash(after))


def test_text_without_spaces_is_split_to_fit() -> None:
    cuts = ContentCuts(lambda texts: [len(text) for text in texts], window=50, min_tokens=5, max_tokens=40)
    parsed = parse(b"x" * 1000, "text/markdown")
    chunks = make_chunks("t", "d", parsed.text, cuts.cut(parsed))
    assert "".join(chunk.text for chunk in chunks) == parsed.text and max(len(chunk.text) for chunk in chunks) <= 40


@pytest.mark.parametrize("word", ["วันลาพักร้อน", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo"])
def test_text_that_is_one_token_to_the_tokenizer_is_still_cut(minilm: Embedder, word: str) -> None:
    cuts = ContentCuts(minilm.count_tokens, window=minilm.max_tokens, min_tokens=48, max_tokens=200)
    parsed = parse((f"# {word * 500}\n\n" + word * 3000).encode(), "text/markdown")
    chunks = make_chunks("t", "d", parsed.text, cuts.cut(parsed))
    assert "".join(chunk.text for chunk in chunks) == word * 3000
    assert max(len(chunk.embedded_text) for chunk in chunks) < 2500
