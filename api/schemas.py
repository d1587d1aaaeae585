"""The JSON bodies of HTTP and of `--json`, one shape for both."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.examples import (
    ANSWER,
    ASK,
    DOCUMENT,
    DOCUMENTS,
    FORGOTTEN,
    GENERATOR,
    HEALTH,
    INDEX,
    JOB,
    JOB_STARTED,
    LABEL,
    LOOK_FOR,
    PREVIEW,
    PROBLEM,
    PUT_IN,
    REPORT,
    ROLL_BACK,
    ROLLED_BACK,
    SEARCH,
    SET_MODE,
    sent,
    shown,
)
from api.question import checked_text
from core.errors import InvalidInput
from core.types import Fault, Filters, Mode, Outcome
from core.versions import LARGEST_VERSION


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _storable(value: str) -> str:
    try:
        return checked_text(value, "value")
    except InvalidInput as error:
        raise ValueError(str(error)) from error


Storable = Annotated[str, AfterValidator(_storable)]
"""Without what neither a database nor a vector index can take."""
_Value = Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
_Values = Annotated[list[_Value], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Field(max_length=100)]

_Version = Annotated[int, Field(ge=1, le=LARGEST_VERSION)]
_AS_OF = "A kept version to read from, as GET /v1/index/versions lists them; otherwise the newest."


class _Body(BaseModel):
    """What a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, body: Any) -> Any:
        unknown = sorted(set(body) - set(cls.model_fields)) if isinstance(body, dict) else []
        if unknown:
            raise ValueError(f"unknown field {unknown[0][:80]!r}: allowed are {', '.join(sorted(cls.model_fields))}")
        return body


class Reply(BaseModel):
    """What a client gets, read off the dataclasses of `core.types`."""

    model_config = ConfigDict(from_attributes=True)


class FiltersBody(_Body):
    """Narrow the search: one value or several alternatives a field."""

    source: _Values = Field(default=[], description="A whole source, or a folder of it when it ends with a slash.")
    document_id: _Values = Field(default=[], description="Documents by id.")
    media_type: _Values = Field(default=[], description="Media types of the files.")

    def to_filters(self) -> Filters:
        return Filters(source=tuple(self.source), document_id=tuple(self.document_id), media_type=tuple(self.media_type))


class AskBody(_Body):
    model_config = sent(ASK)

    question: str = Field(description="In your own words, any language or script.")
    mode: Mode | None = Field(default=None, description="Who answers this one request; otherwise the mode set by PUT /v1/generator.")
    top_k: int | None = Field(default=None, ge=1, le=50, description="How many chunks are read; otherwise the server's setting.")
    filters: FiltersBody = Field(default_factory=FiltersBody, description="Read only these documents.")
    as_of: _Version | None = Field(default=None, description=_AS_OF)
    stream: bool = Field(default=False, description="Answer in server-sent events, as soon as there is something to show.")


class SearchBody(_Body):
    model_config = sent(LOOK_FOR)

    question: str = Field(description="What to look for.")
    top_k: int | None = Field(default=None, ge=1, le=50, description="How many hits; otherwise the server's setting.")
    filters: FiltersBody = Field(default_factory=FiltersBody, description="Search only these documents.")
    as_of: _Version | None = Field(default=None, description=_AS_OF)


class ModeBody(_Body):
    model_config = sent(SET_MODE)

    mode: Mode = Field(description="Who answers from the next request on, in every process.")


class FeedbackBody(_Body):
    model_config = sent(LABEL)

    answer_id: str = Field(min_length=1, max_length=32, description="The `id` of an answer.")
    correct: bool = Field(description="Whether the answer was right.")
    better_answer: str | None = Field(default=None, max_length=20_000, description="What it should have said.")


class RollbackBody(_Body):
    model_config = sent(ROLL_BACK)

    version: _Version = Field(description="A kept version, as GET /v1/index/versions lists them.")


class DocumentBody(_Body):
    model_config = sent(PUT_IN)

    text: str = Field(min_length=1, description="The document's text.")
    title: str | None = Field(default=None, max_length=500, description="Shown with citations; otherwise read from the text.")
    media_type: Literal["text/markdown", "text/plain", "text/html"] = Field(default="text/markdown", description="How to read the text.")


class CitationBody(Reply):
    chunk_id: str
    document_id: str
    source: str
    title: str
    heading: str
    quote: str = Field(description="Exactly `document_text[start:end]` of the version that answered.")
    start: int
    end: int


class AttemptBody(Reply):
    tier: str
    outcome: Outcome
    reason: str
    confidence: float | None
    latency_ms: float
    cost_micro_usd: int
    untold_micro_usd: int | None = Field(
        description="What it may have cost beyond that, at most, by estimate, as it ended before the API had told; null where all is known."
    )
    fault: Fault | None = Field(description="Of a failed one: which of the known faults it was.")


class UsageBody(Reply):
    input_tokens: int = Field(description="Neither read from the prompt cache nor written to it.")
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int


class AnswerBody(Reply):
    model_config = shown(ANSWER)

    id: str
    answer: str | None = Field(description="Null when abstained.")
    abstained: bool = Field(description="True when no tier's answer could be trusted; the citations are then the best passages.")
    citations: list[CitationBody]
    mode: Mode
    tier: str | None
    model: str | None
    confidence: float | None = Field(description="P(correct), calibrated; null where the tier cannot know.")
    confidence_source: str | None
    route: list[AttemptBody] = Field(description="Every tier that was asked, in order, and what came of it.")
    index_version: int
    usage: UsageBody
    cost_micro_usd: int = Field(description="Of the whole route, in millionths of a US dollar.")
    untold_micro_usd: int | None = Field(description="What it may have cost beyond that, at most, by estimate; null where all is known.")
    timings_ms: dict[str, float]
    below_threshold: bool = Field(
        description="True where the small model's answer is given though it was not sure enough, since no frontier model answered."
    )


class HitBody(Reply):
    chunk_id: str
    document_id: str
    source: str
    title: str
    heading: str
    text: str
    start: int
    end: int
    score: float = Field(description="Fused, 0 to 1.")
    dense_score: float | None
    sparse_score: float | None


class SearchReply(Reply):
    model_config = shown(SEARCH)

    hits: list[HitBody] = Field(description="Best first.")
    index_version: int


class TierBody(Reply):
    name: str
    ready: bool
    reason: str


class GeneratorReply(Reply):
    model_config = shown(GENERATOR)

    mode: Mode
    ready: bool = Field(description="Whether a tier of this mode is ready.")
    tiers: list[TierBody] = Field(description="Every tier, with why it is or is not ready.")
    modes: dict[Mode, bool] = Field(description="Which modes could be set now.")


class SourceBody(Reply):
    kind: str
    name: str
    location: str
    forgotten: int = Field(default=0, description="Documents that were forgotten: their files are left out until they are named again.")
    ref: str | None = Field(default=None, description="Of a git source: what it follows; null for the default branch.")
    revision: str | None = Field(default=None, description="Of a git source: the commit that is published.")


class FailureBody(Reply):
    source: str
    reason: str


class HoldBody(Reply):
    version: int = Field(description="Whose content a rollback brought back.")
    since: float = Field(description="Seconds since 1970.")


class ProgressBody(Reply):
    step: Literal["listing", "parsing", "embedding", "building", "publishing"]
    documents: int
    documents_total: int | None
    chunks: int
    chunks_total: int | None


class IndexReply(Reply):
    model_config = shown(INDEX)

    version: int | None = Field(description="Null until something is published.")
    documents: int
    chunks: int
    embedder: str | None = Field(description="Fingerprint of the embedder that built the version.")
    sources: list[SourceBody]
    published_at: float | None = Field(description="Seconds since 1970.")
    sync_running: bool
    sync_progress: ProgressBody | None = Field(description="Where your running sync stands, whoever started it; null until it says so.")
    held: HoldBody | None = Field(description="Since a rollback the sources are not read; a sync with `release` ends that.")
    failed: list[FailureBody] = Field(description="Files that the last sync could not read; their last good version stays searchable.")


class SyncReply(Reply):
    model_config = shown(REPORT)

    version: int
    added: int
    changed: int
    renamed: int
    removed: int
    unchanged: int
    chunks_embedded: int
    chunks_reused: int
    failed: list[FailureBody]
    notes: list[str] = Field(default=[], description="What was left out on purpose, and why.")
    seconds: float


class RollbackReply(SyncReply):
    model_config = shown(ROLLED_BACK)

    content_of: int = Field(description="The version whose content is published again. The sources are held until a sync releases them.")


class RenamingBody(Reply):
    before: str
    after: str


class PreviewReply(Reply):
    model_config = shown(PREVIEW)

    version: int | None = Field(description="The published one, from which the sync would go on.")
    added: list[str] = Field(description="Documents, as citations name them.")
    changed: list[str]
    renamed: list[RenamingBody]
    removed: list[str]
    unchanged: int
    failed: list[FailureBody]
    notes: list[str] = Field(description="What would be left out on purpose, and why.")
    chunks_to_embed: int = Field(description="Those whose text has no kept vector.")
    characters_to_embed: int
    expected_seconds: float | None = Field(description="How long the sync would take; null where no earlier one tells.")


class ForgetReply(SyncReply):
    model_config = shown(FORGOTTEN)

    documents: int = Field(description="Erased, with every earlier state of theirs.")
    versions_dropped: list[int] = Field(description="Kept versions that held one of them, and so are kept no more.")
    vectors_erased: int
    answers_erased: int = Field(description="Recorded answers that cited one of them or held a word that only they had; their cost stays.")
    left: list[str] = Field(description="What is out of reach, and where it stays.")


class JobStarted(Reply):
    model_config = shown(JOB_STARTED)

    job_id: str = Field(description="Poll GET /v1/jobs/{job_id}.")


class JobReply(Reply):
    model_config = shown(JOB)

    job_id: str
    state: Literal["running", "done", "failed"]
    progress: dict[str, Any] = Field(description="step, documents, documents_total, chunks, chunks_total.")
    report: SyncReply | None
    error: str | None
    started_at: float
    ended_at: float | None


class DocumentSummary(Reply):
    id: str
    source: str
    title: str
    media_type: str
    content_hash: str


class DocumentReply(DocumentSummary):
    model_config = shown(DOCUMENT)

    text: str = Field(description="The parsed text that citations point into.")
    index_version: int
    chunks: int


class DocumentsReply(Reply):
    model_config = shown(DOCUMENTS)

    documents: list[DocumentSummary]
    total: int
    next: str | None = Field(description="Send it as `after` for the next page; null on the last.")
    index_version: int


class HealthReply(Reply):
    model_config = shown(HEALTH)

    status: Literal["ok"]


class Problem(BaseModel):
    """RFC 9457 problem details, sent as application/problem+json."""

    model_config = shown(PROBLEM)

    type: str
    title: str
    status: int
    detail: str = Field(description="What went wrong and what to do.")
    retry_after: int | None = Field(
        default=None, description="Seconds after which it may work again, where that is known: the same as the header Retry-After."
    )
