"""One example of every body, shown in the OpenAPI description."""

from pydantic import ConfigDict
from pydantic.config import JsonDict

_ID = "5d41402abc4b2a76b9719d911017c592"
_DOCUMENT_ID = "9a0364b9e99bb480dd25e1f0284c8555"
_PLACE: JsonDict = {
    "chunk_id": _ID, "document_id": _DOCUMENT_ID, "source": "handbook/people/leave.md", "title": "Leave",
    "heading": "Leave > Carrying over", "start": 412, "end": 464,
}  # fmt: skip
_SENTENCE = "Up to five days may be carried over until 31 March."
_ATTEMPT: JsonDict = {
    "tier": "reader", "outcome": "accepted", "reason": "the mode takes this tier's answer", "confidence": 0.91,
    "latency_ms": 31.2, "cost_micro_usd": 0, "untold_micro_usd": None, "fault": None,
}  # fmt: skip
_SUMMARY: JsonDict = {
    "id": _DOCUMENT_ID, "source": "handbook/people/leave.md", "title": "Leave", "media_type": "text/markdown",
    "content_hash": "2c26b46b68ff",
}  # fmt: skip
_WHEN = 1795000000.0

ASK: JsonDict = {
    "question": "How many days of leave may I carry over?",
    "mode": "tuned",
    "top_k": 5,
    "filters": {"source": "handbook/people/"},
    "as_of": 7,
}
LOOK_FOR: JsonDict = {
    "question": "leave carried over to the next year",
    "top_k": 3,
    "filters": {"media_type": ["text/markdown", "text/html"]},
}
SET_MODE: JsonDict = {"mode": "hybrid"}
ROLL_BACK: JsonDict = {"version": 7}
LABEL: JsonDict = {"answer_id": _ID, "correct": False, "better_answer": "five days, with your team lead's consent"}
PUT_IN: JsonDict = {"text": "# Leave\n\nEveryone has 27 days of leave a year.\n", "title": "Leave", "media_type": "text/markdown"}

ANSWER: JsonDict = {
    "id": _ID, "answer": "five days", "abstained": False, "citations": [{**_PLACE, "quote": _SENTENCE}], "mode": "tuned", "tier": "reader",
    "model": "understudy-reader-3f1c0a77b2d4", "confidence": 0.91, "confidence_source": "calibrated on held-out documents",
    "route": [_ATTEMPT], "index_version": 7,
    "usage": {"input_tokens": 0, "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0, "cache_read_tokens": 0, "output_tokens": 0},
    "cost_micro_usd": 0, "untold_micro_usd": None,
    "timings_ms": {"retrieve": 4.1, "generate": 31.2, "total": 35.4}, "below_threshold": False,
}  # fmt: skip
STREAM = (
    'event: evidence\ndata: {"hits": [], "index_version": 7}\n\nevent: text\ndata: {"text": "five days"}\n\n'
    'event: answer\ndata: {"answer": "five days"}\n\n'
)
"""Cut short: the events hold what a search, a citation and an answer hold."""
SEARCH: JsonDict = {
    "hits": [{**_PLACE, "text": _SENTENCE, "score": 0.97, "dense_score": 0.62, "sparse_score": 11.4}], "index_version": 7,
}  # fmt: skip
GENERATOR: JsonDict = {
    "mode": "tuned", "ready": True, "tiers": [{"name": "reader", "ready": True, "reason": "the reader is loaded"}],
    "modes": {"tuned": True, "frontier": False, "hybrid": True},
}  # fmt: skip
INDEX: JsonDict = {
    "version": 7, "documents": 24, "chunks": 131, "embedder": "3f1c0a77b2d4e5f6", "published_at": _WHEN, "sync_running": False,
    "sync_progress": None, "held": None, "failed": [],
    "sources": [{"kind": "folder", "name": "handbook", "location": "/srv/handbook", "ref": None, "revision": None}],
}  # fmt: skip
REPORT: JsonDict = {
    "version": 8, "added": 1, "changed": 2, "renamed": 0, "removed": 0, "unchanged": 21, "chunks_embedded": 4, "chunks_reused": 127,
    "failed": [{"source": "handbook/plan.pdf", "reason": "the file is encrypted"}], "notes": [], "seconds": 1.8,
}  # fmt: skip
ROLLED_BACK: JsonDict = {**REPORT, "failed": [], "chunks_embedded": 0, "content_of": 6}
_KEPT: JsonDict = {
    "version": 8, "published": True, "published_at": _WHEN, "cause": "sync", "documents": 25, "chunks": 131, "added": 1, "changed": 2,
    "renamed": 0, "removed": 0, "chunks_embedded": 4, "chunks_reused": 127, "failed": 1, "seconds": 1.8, "content_of": None,
}  # fmt: skip
VERSIONS: JsonDict = {"published": 8, "versions": [_KEPT], "next": None}
_CHUNKS: JsonDict = {"added": 1, "removed": 1, "kept": 5}
DIFF: JsonDict = {
    "from_version": 7, "to_version": 8, "documents": {"added": 1, "removed": 0, "changed": 2, "renamed": 0},
    "chunks": {"added": 4, "removed": 2, "kept": 21},
    "changes": [
        {
            "change": "changed", "id": _DOCUMENT_ID, "source": "handbook/people/leave.md", "title": "Leave", "was": None, "chunks": _CHUNKS,
            "listed": [{"change": "removed", "heading": "Leave > Carrying over", "start": 412, "end": 464, "text": _SENTENCE}],
            "left_out": 6,
        }
    ],
    "total": 3, "next": 1,
}  # fmt: skip
PREVIEW: JsonDict = {
    "version": 8, "added": ["handbook/travel/norway.md"], "changed": ["handbook/people/leave.md"],
    "renamed": [{"before": "handbook/pay.md", "after": "handbook/people/pay.md"}], "removed": [], "unchanged": 21, "failed": [],
    "notes": [], "chunks_to_embed": 9, "characters_to_embed": 5210, "expected_seconds": 1.2,
}  # fmt: skip
FORGOTTEN: JsonDict = {
    "version": 9, "added": 0, "changed": 0, "renamed": 0, "removed": 1, "unchanged": 0, "chunks_embedded": 0, "chunks_reused": 129,
    "failed": [], "notes": [], "seconds": 2.4, "documents": 1, "versions_dropped": [8, 7], "vectors_erased": 6, "answers_erased": 3,
    "left": [],
}  # fmt: skip
VERIFIED: JsonDict = {
    "version": 8, "well": False, "seconds": 0.9,
    "versions": [
        {
            "version": 8, "published": True, "documents": 24, "chunks": 131, "flaws": {"missing": 1},
            "findings": [{"flaw": "missing", "detail": f"chunk {_ID} is in the database and not in the index", "chunk_id": _ID}],
        }
    ],
}  # fmt: skip
JOB_STARTED: JsonDict = {"job_id": _ID}
JOB: JsonDict = {
    "job_id": _ID, "state": "done", "progress": {"step": "publishing"}, "report": REPORT, "error": None,
    "started_at": _WHEN, "ended_at": _WHEN + 2,
}  # fmt: skip
DOCUMENT: JsonDict = {**_SUMMARY, "text": "# Leave\n\nEveryone has 27 days.\n", "index_version": 7, "chunks": 1}
DOCUMENTS: JsonDict = {"documents": [_SUMMARY], "total": 24, "next": _DOCUMENT_ID, "index_version": 7}
_USAGE: JsonDict = {
    "input_tokens": 61_200, "cache_write_5m_tokens": 1_430, "cache_write_1h_tokens": 0, "cache_read_tokens": 112_970,
    "output_tokens": 4_120,
}  # fmt: skip
_SUMS: JsonDict = {
    "answers": 240, "attempts": 320, "unanswered": 1, "usage": _USAGE, "cost_micro_usd": 9_489, "uncached_micro_usd": 19_620,
    "frontier_only_micro_usd": 28_467, "cache_hit_rate": 0.9875, "untold": 2, "untold_micro_usd": 4_310,
}  # fmt: skip
_EACH: JsonDict = {"day": None, "mode": None, "tier": None, "tenant": None, "fault": None}
LEDGER: JsonDict = {
    "since": "2026-11-20", "by": ["day"], "lines": [{**_EACH, "day": "2026-11-20", **_SUMS}], "total": {**_EACH, **_SUMS},
    "frontier_mean": {"attempts": 79, "cost_micro_usd": 118.6, "tokens": {"input_tokens": 774.7, "output_tokens": 52.2}},
}  # fmt: skip
HEALTH: JsonDict = {"status": "ok"}
PROBLEM: JsonDict = {
    "type": "urn:understudy:problem:no-ready-tier", "title": "No ready tier", "status": 409,
    "detail": "mode 'frontier' has no ready tier: none is configured; modes that could be used now: tuned, hybrid",
}  # fmt: skip


def sent(example: JsonDict) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


def shown(example: JsonDict) -> ConfigDict:
    return ConfigDict(from_attributes=True, json_schema_extra={"examples": [example]})
