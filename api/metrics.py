"""What Prometheus scrapes; question and document texts never appear in it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import Engine

from api.catalog import count_all
from core.types import Answer

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """A registry of its own, so that several apps fit into one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("understudy_requests", "HTTP requests.", ["method", "route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "understudy_request_seconds", "Time to the end of a response.", ["route"], buckets=_SECONDS, registry=self._registry
        )
        self._answers = Counter(
            "understudy_answers", "Answers by mode, last tier and outcome.", ["mode", "tier", "outcome"], registry=self._registry
        )
        self._answer_seconds = Histogram(
            "understudy_answer_seconds",
            "Time to an answer, retrieval included.",
            ["mode", "tier"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._cost = Counter(
            "understudy_cost_micro_usd",
            "Spent on questions, answered or not, in millionths of a US dollar.",
            ["mode"],
            registry=self._registry,
        )
        self._untold = Counter(
            "understudy_untold_attempts",
            "Calls that ended before the API had told all that they cost.",
            ["mode"],
            registry=self._registry,
        )
        self._version = Gauge("understudy_index_version", "The published index version; 0 before the first.", registry=self._registry)
        self._documents = Gauge("understudy_documents", "Documents in the published version.", registry=self._registry)
        self._chunks = Gauge("understudy_chunks", "Chunks in the published version.", registry=self._registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the path's template: an id in a label would make a new series for every document."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_answer(self, answer: Answer) -> None:
        tier = answer.tier or "none"
        self._answers.labels(answer.mode, tier, "abstained" if answer.abstained else "answered").inc()
        self._answer_seconds.labels(answer.mode, tier).observe(answer.timings_ms.get("total", 0.0) / 1000)

    def count_cost(self, answer: Answer) -> None:
        """Of every question, also of one that nobody answered."""
        self._cost.labels(answer.mode).inc(answer.cost_micro_usd)
        self._untold.labels(answer.mode).inc(sum(attempt.untold_micro_usd is not None for attempt in answer.route))

    def count_failure(self, mode: str) -> None:
        self._answers.labels(mode, "none", "failed").inc()

    def render(self, engine: Engine) -> bytes:
        version, documents, chunks = count_all(engine)
        self._version.set(version)
        self._documents.set(documents)
        self._chunks.set(chunks)
        return generate_latest(self._registry)
