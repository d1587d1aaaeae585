"""The prompt: a prefix that is the same for every question, then fresh passages, then the question.

The prefix (policy, then examples) ends in the one cache breakpoint; nothing before it depends on question, time, tenant or machine.
Passages are `search_result` blocks of one sentence a text block, so that what the model cites are sentences at known places.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.sentences import sentences
from core.types import Citation, Evidence, Hit, Json
from generation.exemplars import Exemplar, render
from generation.policy import POLICY
from generation.ttl import Ttl


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    """What comes first in every request; build it once and keep it."""

    texts: tuple[str, ...]
    """Of the system blocks; the breakpoint is on the last."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits: equal fingerprints mean equal prefixes, whatever their time to live."""
        return hashlib.sha256(_serialised(self.texts)).hexdigest()[:16]

    def system(self, ttl: Ttl) -> list[Json]:
        """Made anew at each call, as callers may change what they are given."""
        blocks: list[Json] = [{"type": "text", "text": text} for text in self.texts]
        blocks[-1]["cache_control"] = {"type": "ephemeral", "ttl": ttl}
        return blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A passage as it was sent: which hit, and where in the hit's chunk each of its blocks stands."""

    hit: Hit
    spans: tuple[tuple[int, int], ...]

    def texts(self) -> list[str]:
        return [self.hit.chunk.text[start:end] for start, end in self.spans]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One question's request body, and the way back from what it cites to the documents."""

    prefix: Prefix
    ttl: Ttl
    results: tuple[Result, ...]
    """In the order of their `search_result_index`. A prompt without any is not to be sent: it has no answer, and would miss the cache,
    since whether citations are on is part of what is cached."""
    question: str

    def system(self) -> list[Json]:
        return self.prefix.system(self.ttl)

    def messages(self) -> list[Json]:
        content = [*(_search_result(result) for result in self.results), {"type": "text", "text": f"Question: {self.question}"}]
        return [{"role": "user", "content": content}]

    def cited(self, result: int, start_block: int, end_block: int, cited_text: str | None = None) -> Citation | None:
        """The sentences `start_block` to `end_block`, the last one excluded, in the document's own characters.

        None where they were not sent, or are not what the model says that it cites: such a citation is dropped, and counted.
        """
        if not 0 <= result < len(self.results):
            return None
        sent = self.results[result]
        if not 0 <= start_block < end_block <= len(sent.spans):
            return None
        if cited_text is not None and _letters(cited_text) != _letters("".join(sent.texts()[start_block:end_block])):
            return None
        return sent.hit.cite(sent.spans[start_block][0], sent.spans[end_block - 1][1])


def build_prefix(exemplars: Sequence[Exemplar] = ()) -> Prefix:
    if not exemplars:
        return Prefix(texts=(POLICY,))
    return Prefix(texts=(POLICY, f"Examples of questions, passages and good answers:\n{render(exemplars)}"))


def build_prompt(prefix: Prefix, question: str, evidence: Evidence, *, ttl: Ttl) -> Prompt:
    results = [Result(hit=hit, spans=tuple(sentences(hit.chunk.text))) for hit in evidence]
    return Prompt(prefix=prefix, ttl=ttl, results=tuple(result for result in results if result.spans), question=question)


def prewarm_messages() -> list[Json]:
    """What follows the prefix in a call that only writes the cache: citations must be on there, or later questions miss it."""
    passage = {
        "type": "search_result",
        "source": "-",
        "title": "-",
        "content": [{"type": "text", "text": "-"}],
        "citations": {"enabled": True},
    }
    return [{"role": "user", "content": [passage, {"type": "text", "text": "-"}]}]


def prefix_bytes(system: Sequence[Json]) -> bytes:
    """What of a request must not change from one question to the next, up to its last breakpoint."""
    last = max((place for place, block in enumerate(system) if "cache_control" in block), default=-1)
    return _serialised(system[: last + 1])


def _search_result(result: Result) -> Json:
    hit = result.hit
    return {
        "type": "search_result",
        "source": hit.source,
        "title": hit.chunk.heading or hit.title or hit.source,
        "content": [{"type": "text", "text": text} for text in result.texts()],
        "citations": {"enabled": True},
    }


def _letters(text: str) -> str:
    """Without white space: what the API puts between the blocks that it joins is not told."""
    return "".join(text.split())


def _serialised(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
