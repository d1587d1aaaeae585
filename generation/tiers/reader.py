"""The tuned small model: a verbatim span, its sentence, and how sure it is."""

from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from core.errors import TierFailed
from core.sentences import sentences
from core.types import Citation, Draft, Evidence, Hit, Readiness
from generation.confidence import Calibrator, features
from generation.inference import inference
from generation.reader.model import Passage, Reader
from generation.reader.spans import Span, rank_spans

_LEVELS = (0.02, 0.05, 0.10, 0.20)


class ReaderTier:
    """Reads all evidence at once; costs nothing per answer and never leaves the machine."""

    name = "reader"

    def __init__(self, reader: Reader, calibrator: Calibrator, *, max_wrong: float) -> None:
        calibrator.check(reader.digest)
        self._reader = reader
        self._calibrator = calibrator
        self._readiness = Readiness(ready=True, reason=_record(calibrator, max_wrong))
        self.threshold = calibrator.acceptance(max_wrong).threshold
        """The confidence from which hybrid takes its answers: at most `max_wrong` of these were wrong on held-out documents."""
        self.model = f"understudy-reader-{reader.digest[:12]}"

    def readiness(self) -> Readiness:
        return self._readiness

    def warm_up(self) -> None:
        """Before serving, so that the first answers take no longer than the next."""
        self._reader.warm_up()

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        try:
            return await to_thread.run_sync(self.read, question, evidence, abandon_on_cancel=True, limiter=inference())
        except RuntimeError as error:  # what OpenVINO raises
            raise TierFailed(f"the reader could not read: {error}") from error

    def read(self, question: str, evidence: Evidence) -> Draft:
        spans = self.spans(question, evidence)
        if not spans:
            return self._draft(None, (), None)
        judged = self._calibrator.weigh(features(question, evidence, spans))
        if judged.absent:
            return self._draft(None, (), judged.confidence)
        best, hit = spans[0], evidence[spans[0].passage]
        return self._draft(hit.chunk.text[best.start : best.end], (_cite(hit, best),), judged.confidence)

    def spans(self, question: str, evidence: Evidence) -> list[Span]:
        """Candidate answers over all evidence, best first."""
        windows = self._reader.read(question, [Passage(heading=hit.chunk.heading, text=hit.chunk.text) for hit in evidence])
        return rank_spans(windows, self._calibrator.priors(evidence))

    def _draft(self, text: str | None, citations: tuple[Citation, ...], confidence: float | None) -> Draft:
        return Draft(text=text, citations=citations, model=self.model, confidence=confidence, confidence_source=self._calibrator.name)


def _record(calibrator: Calibrator, max_wrong: float) -> str:
    taken = calibrator.acceptance(max_wrong)
    shares = ", ".join(f"{calibrator.acceptance(level).coverage:.0%} at {level:.0%}" for level in _LEVELS)
    return (
        f"loaded; hybrid takes its answers from confidence {taken.threshold:.3f}, chosen on {taken.n:,} held-out questions for"
        f" at most {max_wrong:.0%} wrong; share accepted there by share wrong: {shares}"
    )


def open_reader(folder: Path, cache: Path, *, max_wrong: float) -> ReaderTier:
    """Raises CorruptModel when a file is missing, damaged or of another reader."""
    return ReaderTier(Reader(folder, cache), Calibrator.load(folder / "calibrator.json"), max_wrong=max_wrong)


def _cite(hit: Hit, span: Span) -> Citation:
    """The sentence around the span, in the document's own characters."""
    chunk = hit.chunk
    start, end = _sentence_around(sentences(chunk.text), span)
    return hit.cite(start, end)


def _sentence_around(found: Sequence[tuple[int, int]], span: Span) -> tuple[int, int]:
    """From the first to the last sentence that the span touches."""
    touched = [(start, end) for start, end in found if start < span.end and end > span.start]
    return (min(span.start, touched[0][0]), max(span.end, touched[-1][1])) if touched else (span.start, span.end)
