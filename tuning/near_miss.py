"""Near-miss questions: an answerable question with one entity, number or word swapped, so that its passage answers it no more.

SQuAD 2.0 had people write such questions (Rajpurkar et al. 2018); these are made by rule, for the sets that have none.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable

from tuning.dataset import Passage, Question

_NUMBER = re.compile(r"(?<![\w-])\d[\d,.]*\b")
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:(?:of|the|de|and)\s+)?[A-Z][\w'’-]*)*(?!&)\b")
_WORD = re.compile(r"\w+")
_PEOPLE = re.compile(r"\w+(?:ese|ish|[aei]an)")
_YEAR = re.compile(r"1\d\d\d|20\d\d")
_OPENERS = frozenset(
    """The A An In On At It He She They This That These Those What Who When Where Which Why How As For From By But And Of To With After
    Before While His Her Its Their There I We You If Some Many Most Other During Since Although However Also Each""".split()
)
_PAIRS = """first/last increase/decrease increased/decreased before/after north/south northern/southern east/west eastern/western
    largest/smallest highest/lowest oldest/newest earliest/latest begin/end began/ended start/stop started/stopped win/lose won/lost
    above/below rise/fall rose/fell allow/prohibit allowed/prohibited include/exclude included/excluded male/female men/women major/minor
    public/private positive/negative accept/reject accepted/rejected support/oppose supported/opposed early/late larger/smaller
    higher/lower greater/lesser longer/shorter older/younger best/worst gain/lose gained/lost buy/sell bought/sold enter/leave
    inside/outside strong/weak strongest/weakest success/failure successful/unsuccessful internal/external ancient/modern winter/summer
    common/rare open/close opened/closed create/destroy created/destroyed maximum/minimum join/leave joined/left same/different
    upper/lower domestic/foreign frequently/rarely always/never""".split()
_OPPOSITES = {one: other for pair in _PAIRS for one, other in (pair.split("/"), pair.split("/")[::-1])}
_COUNTED = ("how many ", "how much ", "how often ")
"""What is counted is counted of its opposite too: the number asked for would often still be the answer."""

Finder = Callable[[str], set[str]]
"""Of a text what can be swapped in."""

TRIES = 20
LOCAL = 0.6
"""How often the swapped-in name stands in the passage itself: the reader has to look at what is said of it."""


class NearMisses:
    """Made reproducibly: the same (seed, epoch, question) gives the same near miss."""

    def __init__(self, passages: Iterable[Passage], rate: float, seed: int) -> None:
        self._rate, self._seed = rate, seed
        self._texts: dict[str, set[str]] = defaultdict(set)
        for passage in passages if rate else ():
            self._texts[passage.document].add(passage.text)
        self._found: dict[tuple[str, Finder], list[str]] = {}

    def of(self, question: Question, epoch: int) -> str | None:
        """The text of a near miss; None where the draw says so, or where nothing can be swapped."""
        rng = random.Random(f"{self._seed}:{epoch}:{question.question_id}:near")
        if not question.spans or rng.random() >= self._rate:
            return None
        kinds = [self._swap_name, self._swap_name, self._swap_number, _swap_word]
        rng.shuffle(kinds)
        return next((text for swap in kinds if (text := swap(question, rng))), None)

    def _swap_name(self, question: Question, rng: random.Random) -> str | None:
        text = question.passage.text.lower()
        own = [m for m in _NAME.finditer(question.text) if m.start() > 0 and m.group() not in _OPENERS and m.group().lower() in text]
        return self._swap(question, own, names, rng)

    def _swap_number(self, question: Question, rng: random.Random) -> str | None:
        return self._swap(question, list(_NUMBER.finditer(question.text)), numbers, rng)

    def _swap(self, question: Question, own: list[re.Match[str]], find: Finder, rng: random.Random) -> str | None:
        if not own:
            return None
        match = rng.choice(own)
        old = match.group().rstrip(".,")
        local, document = self._pool(question.passage, find)
        pools = [local, document] if rng.random() < LOCAL else [document, local]
        for pool in pools:
            for new in (rng.choice(pool) for _ in range(TRIES if pool else 0)):
                if _alike(old, new) and not _told(new, old, question):
                    return question.text[: match.start()] + new + question.text[match.start() + len(old) :]
        return None

    def _pool(self, passage: Passage, find: Finder) -> tuple[list[str], list[str]]:
        """What `find` sees in the passage, and in all passages of its document; sorted, for a set's order differs between processes."""
        document = (passage.document, find)
        if document not in self._found:
            self._found[document] = sorted(find(" . ".join(sorted(self._texts[passage.document]))))
        return sorted(find(passage.text)), self._found[document]


def names(text: str) -> set[str]:
    """Runs of capitalised words, without a sentence's opening word, as far as that can be told."""
    found, plain = set(), set(_WORD.findall(text))
    for match in _NAME.finditer(text):
        first, _, rest = match.group().partition(" ")
        name = rest if first in _OPENERS else match.group()
        if len(name) > 2 and name.lower() not in plain:
            found.add(name)
    return found


def numbers(text: str) -> set[str]:
    return {match.group().rstrip(".,") for match in _NUMBER.finditer(text)}


def _swap_word(question: Question, rng: random.Random) -> str | None:
    """A lower-case word with its opposite; not after "how" ("how old"), nor when the opposite is there as well."""
    text = question.text
    if text.lower().startswith(_COUNTED):
        return None
    words = [m for m in _WORD.finditer(text) if m.group() in _OPPOSITES and not text[: m.start()].lower().endswith("how ")]
    words = [m for m in words if _OPPOSITES[m.group()] not in text and (m.group() != "last" or _is_adjective(text[: m.start()]))]
    if not words:
        return None
    match = rng.choice(words)
    return text[: match.start()] + _OPPOSITES[match.group()] + text[match.end() :]


def _is_adjective(before: str) -> bool:
    """ "the last", not "did it last"."""
    return before.endswith(("the ", "his ", "her ", "its ", "their "))


def _alike(old: str, new: str) -> bool:
    """Of one kind as far as the letters tell: a year for a year, one word for one word, a people for a people."""
    return _kind(old) == _kind(new)


def _kind(text: str) -> tuple[int, bool, bool, bool]:
    capitals = len(text) > 1 and text.isupper()
    return min(2, len(text.split())), capitals, _YEAR.fullmatch(text) is not None, _PEOPLE.fullmatch(text) is not None


def _told(new: str, old: str, question: Question) -> bool:
    """Whether the swap would name the same thing, something already asked about, or the answer."""
    low, was = new.lower(), old.lower()
    same = low in was or was in low or bool(set(low.split()) & set(was.split()))
    answered = any(low in answer.lower() or answer.lower() in low for answer in question.answers)
    return same or answered or low in question.text.lower()
