"""A frontier model's reply as it comes in: its text, its citations checked against the evidence, and what it uses."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.errors import TierFailed
from core.types import Citation, Delta, Draft, Fault, Quoted, Spending, Usage
from generation.policy import may_become_not_in_documents, says_not_in_documents
from generation.prompt import Prompt

_STOPPED: dict[str, tuple[Fault, str]] = {
    "max_tokens": ("max_tokens", "the answer was longer than its limit: raise the limit in UNDERSTUDY_FRONTIER__MODELS"),
    "model_context_window_exceeded": ("max_tokens", "the answer did not fit into the model's context: ask for fewer passages (top_k)"),
    "pause_turn": ("paused", "the model paused in the middle of its answer"),
}


@dataclass(slots=True)
class Reply:
    prompt: Prompt
    model: str
    usage: Usage | None = None
    """None until the API has said anything of it."""
    sent: bool = False
    """Whether the API may have the request, and charge for it."""
    dropped: int = 0
    """Citations that do not stand in the evidence."""
    stop_reason: str | None = None
    category: str | None = None
    """Of a refusal."""
    _text: str = ""
    _citations: list[Citation] = field(default_factory=list)
    _blocks: set[int] = field(default_factory=set)
    _open: set[int] = field(default_factory=set)
    _shown: int = 0
    _quoted: int = 0

    @property
    def said(self) -> str:
        return self._text.strip()

    @property
    def refused_at_once(self) -> bool:
        """Before any output: not charged, or not in every category."""
        return self.stop_reason == "refusal" and not self._blocks

    @property
    def told(self) -> bool:
        """Whether the API has said all that it charges for: it does so with the reason why it stopped."""
        return self.usage is not None and self.stop_reason is not None

    def open(self, block: int) -> None:
        if block in self._blocks:
            raise ValueError(f"block {block} comes twice")
        self._blocks.add(block)
        self._open.add(block)

    def close(self, block: int) -> None:
        self._open.remove(block)

    def write(self, block: int, text: str) -> None:
        self.require_open(block)
        self._text += text

    def cite(self, block: int, result: int, start: int, end: int, cited_text: str) -> None:
        self.require_open(block)
        found = self.prompt.cited(result, start, end, cited_text)
        if found is None:
            self.dropped += 1
        elif found not in self._citations:
            self._citations.append(found)

    def require_open(self, block: int) -> None:
        if block not in self._open:
            raise ValueError(f"block {block} is not open")

    def news(self) -> Iterator[Delta | Quoted]:
        """What may be shown since the last time: nothing while the answer may still turn out to be none, or one that nothing proves."""
        said = self.said
        if may_become_not_in_documents(said) or not self._citations:
            return
        if len(said) > self._shown:
            yield Delta(text=said[self._shown :])
            self._shown = len(said)
        for citation in self._citations[self._quoted :]:
            yield Quoted(citation=citation)
        self._quoted = len(self._citations)

    def rest(self) -> Iterator[Delta | Quoted]:
        """Of a complete answer, what is still held."""
        if self._citations and not says_not_in_documents(self.said):
            if len(self.said) > self._shown:
                yield Delta(text=self.said[self._shown :])
            yield from (Quoted(citation=citation) for citation in self._citations[self._quoted :])

    def draft(self, spending: Spending) -> Draft:
        """Raises TierFailed where the model stopped for another reason than that it had answered."""
        fault = self._fault()
        if fault:
            raise TierFailed(fault[1], fault=fault[0], model=self.model, spending=spending)
        found = not says_not_in_documents(self.said)
        return Draft(
            text=self.said if found else None, citations=tuple(self._citations) if found else (), model=self.model, confidence=None,
            confidence_source="none", spending=spending, dropped_quotes=self.dropped,
        )  # fmt: skip

    def _fault(self) -> tuple[Fault, str] | None:
        match self.stop_reason:
            case None:
                return self.cut, "the stream ended before the answer did"
            case "refusal":
                return "refused", f"the model refused to answer (category: {self.category or 'none given'})"
            case "end_turn" | "stop_sequence":
                return None if self.said else ("empty", "the model answered with nothing")
            case reason:
                return _STOPPED.get(reason, ("malformed", f"the model stopped for a reason that is not known here: {reason!r}"))

    @property
    def cut(self) -> Fault:
        """The name of a stream that breaks off here."""
        return "cut_after_text" if self._text else "cut_before_text"
