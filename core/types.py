"""The vocabulary: what the stages hand to each other."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:  # a process that only parses does without
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"
"""Shape (dimensions,), unit length."""
Matrix: TypeAlias = "NDArray[np.float32]"
"""Shape (texts, dimensions), rows of unit length."""

Mode = Literal["tuned", "frontier", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)

Cause = Literal["sync", "put", "delete", "forget", "rollback", "rebuild"]
"""What a version was published for."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]
"""How hard a frontier model thinks."""

Outcome = Literal["accepted", "below_threshold", "not_found", "uncited", "failed", "cancelled"]
"""`uncited`: a frontier model answered, and cited nothing that stands in the evidence, so that nothing proves it.
`cancelled`: nobody waited for it any more; what it had cost by then is kept like that of any other."""

Fault = Literal[
    "bad_request", "unauthorized", "unpaid", "forbidden", "unknown_model", "too_large", "rate_limited", "server_error", "overloaded",
    "unreachable", "connect_timeout", "read_timeout", "deadline", "refused", "max_tokens", "paused", "empty", "cut_before_text",
    "cut_after_text", "malformed", "circuit_open", "busy", "unpriced", "broken",
]  # fmt: skip
"""Why a tier did not answer. `busy` and `circuit_open` are our own refusals to ask it; `deadline`: it was asked, and time ran out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose content a call may see. Made by `api/auth.py` alone; every read and write takes one, and none has a default."""

    tenant: str

    def __post_init__(self) -> None:
        if not isinstance(self.tenant, str) or not self.tenant.strip():
            raise ValueError("a scope needs a tenant")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    document_id: str
    """Hash of tenant, source and path: what makes it the same document tomorrow."""
    source: str
    """Where a person finds it: the source's name and the path in it, as in `handbook/travel/france.md`."""
    title: str
    text: str
    """The parsed text, NFC; all offsets count its characters."""
    media_type: str
    content_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    chunk_id: str
    """32 hex digits: hash of tenant, document, heading path, normalised text and occurrence."""
    document_id: str
    ordinal: int
    heading: str
    """The headings above it, outermost first, joined by ` > `; empty where there are none."""
    text: str
    """Equal to `document.text[start:end]`."""
    start: int
    end: int

    @property
    def embedded_text(self) -> str:
        """What embedder and BM25 see: the headings give a short chunk its context."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A chunk as the vector index holds it: filter fields and vectors, no text."""

    chunk_id: str
    document_id: str
    source: str
    media_type: str
    dense: Vector
    embedded_text: str
    """Encoded as BM25 weights on the way in; never stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Narrow a search; an empty tuple filters nothing, several values of a field are alternatives."""

    document_id: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    """Whole source, or a folder of it when it ends with a slash."""
    media_type: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PointDifference:
    """How a chunk in the index is other than it should be."""

    kind: Literal["missing", "extra", "payload", "vector", "words"]
    """`payload` are its filter fields, `words` its BM25 weights."""
    chunk_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A chunk id with its scores in one version; a score is None where that search did not return it."""

    chunk_id: str
    dense: float | None
    sparse: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    chunk: Chunk
    source: str
    title: str
    score: float
    """Fused, in 0 to 1."""
    dense_score: float | None
    sparse_score: float | None

    def cite(self, start: int, end: int) -> "Citation":
        """`start` and `end` are characters of the chunk's text; the citation's are those of the document."""
        chunk = self.chunk
        return Citation(
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            source=self.source,
            title=self.title,
            heading=chunk.heading,
            quote=chunk.text[start:end],
            start=chunk.start + start,
            end=chunk.start + end,
        )


Evidence: TypeAlias = tuple[Hit, ...]
"""Best first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedderName:
    """What opens an embedder again."""

    model: str
    runtime: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltBy:
    """The embedder of a version."""

    fingerprint: str
    name: EmbedderName | None
    """None for versions of before names were kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One published version of the index, read once a request and used to its end."""

    version: int
    embedder: str
    """Fingerprint of the embedder that built it."""
    embedder_name: EmbedderName | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """The evidence for a question, and the version that it comes from."""

    snapshot: Snapshot
    evidence: Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    chunk_id: str
    document_id: str
    source: str
    title: str
    heading: str
    quote: str
    """Equal to `document.text[start:end]` in the version that answered."""
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens by what they are charged as; every token is counted in one class only."""

    input_tokens: int = 0
    """Of the prompt, neither read from the cache nor written to it."""
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    """With the thinking, which is charged as output."""

    def __post_init__(self) -> None:
        for each in fields(self):
            tokens = getattr(self, each.name)
            if not isinstance(tokens, int) or tokens < 0:
                raise ValueError(f"{tokens!r} {each.name} cannot be")

    @property
    def cached_tokens(self) -> int:
        """Of the prompt, read from the cache or written to it."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens + self.cache_read_tokens

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cached_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Usage)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What one attempt used and cost: nothing on this machine. Where the API did not tell all of it, that is said, never left out."""

    usage: Usage = field(default_factory=Usage)
    cost_micro_usd: int = 0
    uncached_micro_usd: int = 0
    """What the same tokens would have cost without a prompt cache."""
    price: "Json | None" = None
    """The prices that were applied, as `generation/prices.py` writes them; None where nothing is charged."""
    untold_micro_usd: int | None = None
    """So much more at most, by estimate: the call ended before the API had said all that it charges for. None: it said all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What a tier proposes; `text` is None when it found no answer in the evidence."""

    text: str | None
    citations: tuple[Citation, ...]
    model: str
    confidence: float | None
    """P(correct), calibrated; None where the tier cannot know."""
    confidence_source: str
    spending: Spending = field(default_factory=Spending)
    dropped_quotes: int = 0
    """Quotes that do not stand in the evidence, and so are not among the citations."""
    earlier: "tuple[Attempt, ...]" = ()
    """Tries of the same tier that failed before this one; `spending` is without what these cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """Text that the streamed answer goes on with; all of them joined are the draft's text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Quoted:
    """A citation of the streamed answer, as soon as it is known and checked."""

    citation: Citation


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    ready: bool
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    tier: str
    outcome: Outcome
    reason: str
    confidence: float | None
    latency_ms: float
    model: str | None = None
    spending: Spending = field(default_factory=Spending)
    fault: Fault | None = None
    """Of a failed one."""

    @property
    def cost_micro_usd(self) -> int:
        return self.spending.cost_micro_usd

    @property
    def untold_micro_usd(self) -> int | None:
        return self.spending.untold_micro_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    id: str
    question: str
    answer: str | None
    abstained: bool
    citations: tuple[Citation, ...]
    """Of an abstained answer the best passages, for a person to read on."""
    mode: Mode
    tier: str | None
    model: str | None
    confidence: float | None
    confidence_source: str | None
    route: tuple[Attempt, ...]
    index_version: int
    usage: Usage
    """Of the whole route, as is the cost."""
    cost_micro_usd: int
    timings_ms: dict[str, float]
    below_threshold: bool = False
    """The reader's answer, of which it was not sure enough, given because no frontier model answered."""

    @property
    def untold_micro_usd(self) -> int | None:
        """Of the whole route: what it may have cost beyond `cost_micro_usd`, at most; None where the API told all."""
        untold = [attempt.untold_micro_usd for attempt in self.route if attempt.untold_micro_usd is not None]
        return sum(untold) if untold else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncReport:
    version: int
    added: int = 0
    changed: int = 0
    renamed: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: int = 0
    """Files of kinds that are not read."""
    chunks_embedded: int = 0
    chunks_reused: int = 0
    failed: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out on purpose, and why."""
    seconds: float = 0.0
    embedding_seconds: float = 0.0
    """Of these."""
    content_of: int | None = None
    """Of a rollback: the version whose content it brought back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Renaming:
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncPreview:
    """What a sync would do, by the names that citations show."""

    version: int | None
    """The published one, from which it would go on."""
    added: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[Renaming, ...]
    removed: tuple[str, ...]
    unchanged: int
    skipped: int
    failed: tuple[Failure, ...]
    notes: tuple[str, ...]
    chunks_to_embed: int
    """Those whose text has no kept vector; equal texts count once."""
    characters_to_embed: int
    expected_seconds: float | None
    """None where no earlier sync tells."""
    seconds: float
    """That the preview itself took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetReport(SyncReport):
    documents: int = 0
    """Erased, with every earlier state of theirs."""
    versions_dropped: tuple[int, ...] = ()
    """Kept versions that held one of them."""
    vectors_erased: int = 0
    answers_erased: int = 0
    """Recorded answers that cited one of them, or held a word that only they had."""
    left: tuple[str, ...] = ()
    """What is out of our reach, and where it stays."""


Flaw = Literal["damaged", "missing", "extra", "payload", "vector", "words", "text", "hash", "lost", "unembedded", "orphan"]
"""What `verify` finds: of the index as a whole, of a chunk in it (see PointDifference), and of the rows in SQL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    flaw: Flaw
    detail: str
    chunk_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedVersion:
    version: int
    published: bool
    documents: int
    chunks: int
    flaws: dict[Flaw, int]
    """How many of each kind; empty where all is well."""
    findings: tuple[Finding, ...]
    """The first of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    version: int
    """The published one."""
    well: bool
    versions: tuple[VerifiedVersion, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncProgress:
    """Where a running sync stands; totals are None while they are not known."""

    step: Literal["listing", "parsing", "embedding", "building", "publishing"]
    documents: int = 0
    documents_total: int | None = None
    chunks: int = 0
    chunks_total: int | None = None


Json: TypeAlias = dict[str, Any]
