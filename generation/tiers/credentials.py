"""Whether Claude can be asked at all: the key that the SDK will take, and the SDK itself. Nothing is loaded to find out."""

import importlib.util
import os

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""They hold the secret itself, which goes into a header."""
_ELSEWHERE = ("ANTHROPIC_PROFILE", "ANTHROPIC_IDENTITY_TOKEN", "ANTHROPIC_IDENTITY_TOKEN_FILE")


def missing() -> str | None:
    """What lacks, as a sentence with what to do; never with the key in it."""
    if not any(os.environ.get(name) for name in (*KEYS, *_ELSEWHERE)):
        return "no key: set ANTHROPIC_API_KEY"
    unfit = next((name for name in KEYS if not _fits_a_header(os.environ.get(name, ""))), None)
    if unfit:
        return f"{unfit} holds a space or a line break (Windows line ends in .env?): set it to the key alone"
    if importlib.util.find_spec("anthropic") is None:
        return "the package anthropic is not installed: pip install 'understudy[anthropic]'"
    return None


def _fits_a_header(key: str) -> bool:
    return key.isprintable() and " " not in key
