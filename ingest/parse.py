"""One function for every format: bytes in, clean text and its blocks out."""

from pathlib import PurePosixPath

from core.errors import ParseFailed
from ingest.encoding import decode
from ingest.parsed import Parsed

PARSER_VERSION = 3
"""Raise it when a parser's output changes: every file is then read again."""

_MEDIA_TYPES = {
    "text/markdown": (".md", ".markdown", ".mdown", ".mkd"),
    "text/plain": (".txt", ".text"),
    "text/x-rst": (".rst", ".rest"),
    "text/html": (".html", ".htm", ".xhtml"),
    "application/pdf": (".pdf",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx", ".docm"),
    "text/csv": (".csv", ".tsv"),
    "application/json": (".json", ".jsonl", ".ndjson"),
}
_BY_EXTENSION = {extension: media_type for media_type, extensions in _MEDIA_TYPES.items() for extension in extensions}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
SUPPORTED = ", ".join(extensions[0] for extensions in _MEDIA_TYPES.values())


def media_type_of(name: str) -> str | None:
    """None for a file that is not read."""
    return _BY_EXTENSION.get(PurePosixPath(name).suffix.lower())


def parse(content: bytes, media_type: str) -> Parsed:
    """Raises ParseFailed with the reason; the caller says which file it was."""
    if not content.strip():
        raise ParseFailed("is empty")
    if content.startswith(_LFS_POINTER):
        raise ParseFailed("is a pointer of Git LFS, whose content is kept elsewhere: put the file itself there, or leave it out")
    try:
        parsed = _parse(content, media_type)
    except RecursionError as error:
        raise ParseFailed("is nested too deeply") from error
    if not parsed.blocks and media_type != "text/markdown":  # sites keep pages that are front matter only
        raise ParseFailed("holds no text")
    return parsed


def _parse(content: bytes, media_type: str) -> Parsed:
    """Formats are imported when they are met: most corpora hold two or three of them."""
    match media_type:
        case "application/pdf":
            from ingest.formats.pdf import parse_pdf

            return parse_pdf(content)
        case "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
            from ingest.formats.docx import parse_docx

            return parse_docx(content)
        case "text/markdown":
            from ingest.formats.markdown import parse_markdown

            return parse_markdown(decode(content))
        case "text/plain":
            from ingest.formats.plain import parse_plain

            return parse_plain(decode(content))
        case "text/x-rst":
            from ingest.formats.rst import parse_rst

            return parse_rst(decode(content))
        case "text/html":
            from ingest.formats.html import parse_html

            return parse_html(decode(content, html=True))
        case "text/csv":
            from ingest.formats.table import parse_csv

            return parse_csv(decode(content))
        case "application/json":
            from ingest.formats.tree import parse_json

            return parse_json(decode(content))
        case _:
            raise ParseFailed(f"is of type {media_type!r}, which is not read; these are: {', '.join(_MEDIA_TYPES)}")
