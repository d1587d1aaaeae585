"""What may be asked: the checks that the command line and HTTP share."""

import unicodedata

from core.errors import InvalidInput

_SPACES = str.maketrans(dict.fromkeys("\t\n\r\v\f\x85\u2028\u2029", " ") | {"\ufeff": ""})


def checked_question(text: str, *, limit: int) -> str:
    """The question on one line, trimmed; raises InvalidInput when it is empty, too long or holds control characters."""
    question = text.translate(_SPACES).strip()
    if not question:
        raise InvalidInput("the question is empty: write what you want to know")
    if len(question) > limit:
        raise InvalidInput(
            f"the question has {len(question)} characters: shorten it to {limit} (UNDERSTUDY_SERVER__MAX_QUESTION_CHARACTERS)"
        )
    return checked_text(question, "question")


def is_storable(identity: str) -> bool:
    """What no database can hold names nothing in one."""
    return identity.isprintable()


def checked_text(text: str, name: str) -> str:
    """The text itself; raises InvalidInput for characters that cannot be stored or shown. Line breaks and tabs are fine."""
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise InvalidInput(f"the {name} holds the control character U+{ord(character):04X} at position {position}: remove it")
    return text
