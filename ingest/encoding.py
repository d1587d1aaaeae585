"""Bytes -> text, for files that do not say how they are encoded."""

import codecs
import re

from core.errors import ParseFailed

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BAD = "\N{REPLACEMENT CHARACTER}"
_META = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)


def decode(content: bytes, *, html: bool = False) -> str:
    """By byte order mark, UTF-8, what the page declares, then by its letters; raises ParseFailed for what is no text."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _strict(content, encoding)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _declared(content) if html and _META.search(content, 0, 4096) else _mended(content)
    if text.count("\0") * 5 > len(text):
        return _guessed(content)
    return text


def _strict(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ParseFailed(f"is not valid {encoding}: {error.reason} at byte {error.start:,}; save it as UTF-8") from error


def _declared(content: bytes) -> str:
    match = _META.search(content, 0, 4096)
    name = next(group for group in match.groups() if group).decode("ascii") if match else "utf-8"
    try:
        return content.decode(name, "replace" if name.lower().startswith("utf") else "strict")
    except (LookupError, UnicodeDecodeError):
        return _guessed(content)


def _mended(content: bytes) -> str:
    """UTF-8 with a few bad bytes stays UTF-8: letters of another encoding hardly ever look like it."""
    text = content.decode("utf-8", "replace")
    bad = text.count(_BAD)
    good = sum(character > "\x7f" for character in text) - bad
    few = bad * 20 <= good + bad or bad <= min(good, 5)
    return text if few and "\0" not in text else _guessed(content)


def _guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content).best()
    if best is None:
        raise ParseFailed("is not text in any known encoding; save it as UTF-8")
    return str(best)
