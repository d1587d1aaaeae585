"""What the commands that write documents do; serving never does it in its own process."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from api.auth import local_scope
from api.output import tell
from api.progress import shown_progress
from api.schemas import ForgetReply, PreviewReply, RollbackReply, SyncReply
from api.stack import open_target
from api.terminal import show_forgotten, show_preview, show_report
from api.terminal_history import show_rollback
from core.errors import InvalidInput, ParseFailed
from core.settings import read_settings
from core.types import SyncReport
from ingest.documents import delete_document, put_document
from ingest.forget import forget
from ingest.parse import SUPPORTED, media_type_of
from ingest.preview import preview
from ingest.rebuild import rebuild
from ingest.rollback import rollback
from ingest.sync import sync

ALL_WELL, NOTHING_DONE, SOME_FAILED = 0, 1, 2
_NICENESS = 19


def run_sync(places: Sequence[str], *, release: bool, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        report = sync(open_target(read_settings(), local_scope(tenant), on_progress), places, release=release)
    return _told(report, as_json)


def run_rebuild(*, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        report = rebuild(open_target(read_settings(), local_scope(tenant), on_progress))
    return _told(report, as_json)


def run_preview(*, tenant: str, as_json: bool, lines: bool) -> int:
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        target = open_target(read_settings(), local_scope(tenant), on_progress)
        found = preview(replace(target, on_progress=on_progress))  # it writes nothing, not even how far it is
    tell(PreviewReply.model_validate(found), show_preview, as_json=as_json)
    return SOME_FAILED if found.failed else ALL_WELL


def run_forget(name: str, *, by_id: bool = False, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        report = forget(open_target(read_settings(), local_scope(tenant), on_progress), name, by_id=by_id)
    tell(ForgetReply.model_validate(report), show_forgotten, as_json=as_json)
    return ALL_WELL


def run_put(document_id: str, path: Path, *, title: str, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    media_type = media_type_of(path.name)
    if media_type is None:
        raise InvalidInput(f"files named *{path.suffix} are not read; these are: {SUPPORTED}")
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        target = open_target(read_settings(), local_scope(tenant), on_progress)
        try:
            report = put_document(target, document_id, path.read_bytes(), media_type, title=title)
        except ParseFailed as error:
            raise ParseFailed(f"the document {document_id!r} {error}; nothing was changed") from error
    return _told(report, as_json)


def run_delete(document_id: str, *, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        report = delete_document(open_target(read_settings(), local_scope(tenant), on_progress), document_id)
    return _told(report, as_json)


def run_rollback(version: int, *, tenant: str, as_json: bool, lines: bool) -> int:
    start_writing()
    with shown_progress(lines=lines, quiet=as_json) as on_progress:
        report = rollback(open_target(read_settings(), local_scope(tenant), on_progress), version)
    tell(RollbackReply.model_validate(report), show_rollback, as_json=as_json)
    return exit_code(report)


def exit_code(report: SyncReport) -> int:
    """Nothing done: every file failed, or there was nothing to read and nothing is published."""
    done = report.added + report.changed + report.renamed + report.removed + report.unchanged
    if report.failed:
        return SOME_FAILED if done else NOTHING_DONE
    return ALL_WELL if done or report.version else NOTHING_DONE


def _told(report: SyncReport, as_json: bool) -> int:
    tell(SyncReply.model_validate(report), show_report, as_json=as_json)
    return exit_code(report)


def start_writing() -> None:
    """A server on this machine goes first. One that stops ends its child with SIGTERM: unwind then, so that no scrap is left."""
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
