"""A document on its way in: JSON or a file, kept on disk until the child process has read it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from api.question import checked_text
from api.schemas import DocumentBody
from core.errors import InvalidInput
from ingest.leftovers import upload_folder
from ingest.storage import storage_errors

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SUFFIXES = {"text/markdown": ".md", "text/plain": ".txt", "text/html": ".html"}
_ACCEPTED = "send application/json, or multipart/form-data with the field `file`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    path: Path
    """Its suffix tells how to read it."""
    title: str | None

    def options(self) -> list[str]:
        return [] if self.title is None else [f"--title={self.title}"]


def checked_id(document_id: str) -> str:
    if _ID.fullmatch(document_id) is None:
        raise InvalidInput(f"{document_id!r} cannot be a document's id: use up to 32 letters, digits, dots, dashes and underscores")
    return document_id


@asynccontextmanager
async def received(request: Request, data_dir: Path) -> AsyncIterator[Upload]:
    """The uploaded document as a file, removed afterwards; raises StorageFull where the disk cannot take it."""
    with storage_errors(), upload_folder(data_dir) as folder:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        match kind:
            case "application/json":
                yield await _from_json(request, folder)
            case "multipart/form-data":
                yield await _from_form(request, folder)
            case _:
                raise HTTPException(415, f"{kind or 'a body without Content-Type'} is not taken here: {_ACCEPTED}")


async def _from_json(request: Request, folder: Path) -> Upload:
    try:
        body = await to_thread.run_sync(DocumentBody.model_validate_json, await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_context=False)]) from error
    path = folder / f"document{_SUFFIXES[body.media_type]}"
    await to_thread.run_sync(_write, path, body.text)
    return Upload(path=path, title=_checked_title(body.title))


async def _from_form(request: Request, folder: Path) -> Upload:
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise InvalidInput(f"the form has no file: {_ACCEPTED}")
        if unknown := sorted(set(form) - {"file", "title"}):
            raise InvalidInput(f"unknown field {unknown[0]!r}: allowed are file, title")
        title = form.get("title")
        path = folder / f"document{_suffix(file.filename)}"
        await to_thread.run_sync(path.write_bytes, await file.read())
    return Upload(path=path, title=_checked_title(title if isinstance(title, str) else None))


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    if re.fullmatch(r"\.[a-z0-9]{1,10}", suffix) is None:
        raise InvalidInput(f"the file name {name!r} has no suffix that tells what it is: name it like `leave.pdf`")
    return suffix


def _checked_title(title: str | None) -> str | None:
    if title is not None and len(title) > 500:
        raise InvalidInput(f"the title has {len(title)} characters and may have 500")
    return None if title is None else " ".join(checked_text(title, "title").split()) or None


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def upload_description() -> dict[str, Any]:
    """The two bodies that are taken, for OpenAPI."""
    schema = DocumentBody.model_json_schema()
    file = {"type": "string", "format": "binary", "description": "Any file a folder may hold."}
    form = {
        "type": "object", "required": ["file"],
        "properties": {"file": file, "title": {"type": "string"}},
    }  # fmt: skip
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}
