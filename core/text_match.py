"""Exact match and token F1 of a short answer, as SQuAD defines them (Rajpurkar et al. 2016)."""

import re
import string
from collections import Counter
from collections.abc import Iterable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(answer: str) -> str:
    """Lower case, without punctuation, articles and repeated spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: Iterable[str]) -> float:
    """1.0 when the answer equals one of the gold answers, else 0.0."""
    return float(normalise(answer) in {normalise(g) for g in gold})


def f1(answer: str, gold: Iterable[str]) -> float:
    """The best token F1 over the gold answers, 0 to 1."""
    return max((_f1(normalise(answer).split(), normalise(g).split()) for g in gold), default=0.0)


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(answer), common / len(gold)
    return 2 * precision * recall / (precision + recall)
