"""Bugs of indexers that were reported in public, as scenarios that any indexer can be put through."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.replays.system import EmbedderBroke, System

PAGE = "\n\n".join(
    f"Section {number} of the page has the word token{number} in it, and some more that the splitter can cut at." for number in range(12)
)


class Fault(AssertionError):
    """What the reported bug does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    name: str
    threads: str
    play: Callable[[System], None]
    """Raises Fault."""
    strategy: str = "upserts"
    """With which LlamaIndex's pipeline is asked: the one of the thread."""
    bare: bool = False
    """Its documents come without the metadata of files, as those of the thread do."""


def _failed_first_run(system: System) -> None:
    system.write("one/a.txt", "The answer is plover.")
    system.embedder.fails = True
    _broken(system)
    system.embedder.fails = False
    system.sync()
    _expect(system.found("plover"), ["one/a.txt"], "the run after a failed one leaves the document out")


def _failing_embedder(system: System) -> None:
    system.write("one/a.txt", "The answer is plover.")
    system.sync()
    system.write("one/a.txt", "The answer is curlew.")
    system.embedder.fails = True
    _broken(system)
    _expect(system.found("plover"), ["one/a.txt"], "a failing embedder has cost the old version of the document")
    system.embedder.fails = False
    system.sync()
    _expect(system.found("curlew"), ["one/a.txt"], "the new version never comes in")


def _equal_texts(system: System) -> None:
    for path in ("one/a.txt", "one/b.txt", "two/c.txt"):
        system.write(path, "Boilerplate about the plover.")
    system.sync()
    _expect(system.found("plover"), ["one/a.txt", "one/b.txt", "two/c.txt"], "documents with the same text are not all there")
    system.remove("one/a.txt")
    system.sync()
    _expect(system.found("plover"), ["one/b.txt", "two/c.txt"], "a removed document stays, as others have its text")
    system.remove("two/c.txt")
    system.sync()
    _expect(system.found("plover"), ["one/b.txt"], "a removed document stays, as another has its text")


def _moved_boundary(system: System) -> None:
    """The documents, one after the other, read the same before and after."""
    system.write("one/a.txt", "plover curlew ")
    system.write("one/b.txt", "godwit")
    system.sync()
    system.write("one/a.txt", "plover ")
    system.write("one/b.txt", "curlew godwit")
    system.sync()
    _expect(system.found("curlew"), ["one/b.txt"], "text that moved to the next document is not found there")


def _all_chunks(system: System) -> None:
    system.write("one/a.txt", PAGE)
    system.sync()
    system.write("one/a.txt", PAGE.replace("token3", "token33"))
    system.sync()
    lost = [number for number in range(12) if number != 3 and not system.found(f"token{number} ")]
    _expect(lost, [], "chunks of a changed document are missing")
    _expect(system.found("token33 "), ["one/a.txt"], "the change is not found")
    _expect(system.found("token3 "), [], "the old text is still found")


def _partial_listing(system: System) -> None:
    system.write("one/a.txt", "The answer is plover.")
    system.write("two/b.txt", "The answer is curlew.")
    system.sync()
    system.sync_without("two")
    _expect(system.found("curlew"), ["two/b.txt"], "what could not be listed was deleted")
    _expect(system.found("plover"), ["one/a.txt"], "what was listed is gone")


def _touched(system: System) -> None:
    system.write("one/a.txt", PAGE)
    system.sync()
    system.touch("one/a.txt")
    _expect(system.embedded_by(system.sync), 0, "texts were embedded again for a new mtime")


def _many_chunks_of_one_source(system: System) -> None:
    paragraphs = [f"Paragraph {number} about plover{number}, which is long enough to be a chunk of its own." for number in range(700)]
    system.write("one/a.txt", "\n\n".join(paragraphs))
    system.sync()
    _expect(system.embedded_by(system.sync), 0, "unchanged chunks beyond the first batch were embedded again")
    missing = [number for number in (0, 99, 101, 499, 501, 699) if not system.found(f"plover{number},")]
    _expect(missing, [], "chunks beyond the first batch are missing")


def _lost_store(system: System) -> None:
    """Silence is the bug; an error that says what to do is not."""
    system.write("one/a.txt", "The answer is plover.")
    system.write("one/b.txt", "The answer is curlew.")
    system.sync()
    system.lose_store()
    said_so = False
    try:
        system.sync()
    except Exception:
        said_so = True
    if not said_so:
        _expect(system.found("plover"), ["one/a.txt"], "the store is empty, and the next run reports success")
    embedded = system.embedded_by(system.repair)
    _expect(system.found("plover"), ["one/a.txt"], "it cannot be repaired")
    _expect(embedded, 0, "to repair it everything has to be embedded again")


def _dropped_upserts(system: System) -> None:
    system.write("one/a.txt", PAGE)
    system.store_drops = True
    with suppress(Exception):
        system.sync()
    system.store_drops = False
    system.sync()
    lost = [number for number in range(12) if not system.found(f"token{number} ")]
    _expect(lost, [], "what the store did not take is never tried again")


def _deleted_section(system: System) -> None:
    sections = [f"Section about the {bird}, which is long enough to be a chunk of its own." for bird in ("plover", "curlew", "godwit")]
    system.write("one/a.txt", "\n\n".join(sections))
    system.sync()
    system.write("one/a.txt", "\n\n".join(sections[:2]))
    system.sync()
    _expect(system.found("godwit"), [], "the deleted section is still found")
    _expect(system.found("plover"), ["one/a.txt"], "a section that stayed is gone")


SCENARIOS = (
    Scenario(name="first run fails, second succeeds", threads="llama_index 22638", play=_failed_first_run, strategy="duplicates_only"),
    Scenario(name="embedder fails on a changed document", threads="llama_index 22639", play=_failing_embedder),
    Scenario(name="equal texts", threads="llama_index 22706, 23002", play=_equal_texts, strategy="upserts_and_delete", bare=True),
    Scenario(name="text moves to the next document", threads="llama_index 23002", play=_moved_boundary, bare=True),
    Scenario(name="every chunk of a changed document", threads="llama_index 22133", play=_all_chunks),
    Scenario(name="a part of the listing", threads="llama_index 9643", play=_partial_listing, strategy="upserts_and_delete"),
    Scenario(name="only the mtime changes", threads="llama_index 9135", play=_touched),
    Scenario(name="more chunks of one source than a batch", threads="langchain 32612", play=_many_chunks_of_one_source),
    Scenario(name="the store has lost what the records have", threads="langchain 39937", play=_lost_store),
    Scenario(name="the store does not take all", threads="langchain 40226", play=_dropped_upserts),
    Scenario(name="a section is deleted", threads="langchain 28447", play=_deleted_section),
)


def _broken(system: System) -> None:
    with suppress(EmbedderBroke):
        system.sync()
        raise Fault("a failing embedder goes unnoticed")


def _expect(found: object, wanted: object, otherwise: str) -> None:
    if found != wanted:
        raise Fault(f"{otherwise} ({found!r} instead of {wanted!r})")
