"""How versions and their differences look to a person at a terminal."""

from datetime import datetime

from rich.console import Console
from rich.text import Text

from api.differences import ChunkDifference, DiffReply, DocumentDifference
from api.progress import number_of
from api.schemas import RollbackReply
from api.terminal import show_report
from api.versions import VersionBody, VersionsReply

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "renamed": ">", "kept": " "}
_STYLES = {"added": "green", "removed": "red", "changed": "yellow", "renamed": "cyan", "kept": "dim"}
_CHANGES = ("added", "changed", "renamed", "removed")


def show_versions(out: Console, reply: VersionsReply) -> None:
    if not reply.versions:
        out.print("No version is kept: run `understudy ingest PATH` first" if reply.published is None else "No older version is kept.")
        return
    for version in reply.versions:
        out.print(Text(_line(version), style="bold" if version.published else ""))
    if reply.next is not None:
        out.print(Text(f"Older ones are kept too: `understudy versions --before {reply.next}`", style="dim"))


def show_rollback(out: Console, reply: RollbackReply) -> None:
    out.print(f"The content of version {reply.content_of} is published again, as version {reply.version}")
    show_report(out, reply)
    held = (
        "The sources are held: no sync reads them until `understudy sync --release`, which brings back what they say now."
        " Mend them first; `understudy sync --release` then publishes the mended state"
    )
    out.print(Text(held, style="yellow"))


def _line(version: VersionBody) -> str:
    when = datetime.fromtimestamp(version.published_at).strftime("%Y-%m-%d %H:%M:%S")
    size = f"{number_of(version.documents, 'document')}, {number_of(version.chunks, 'chunk')}"
    return f"{version.version:>5} {'*' if version.published else ' '} {when}  {size}  {_what_happened(version)}"


def _what_happened(version: VersionBody) -> str:
    if version.cause is None:
        return "another tenant's change"
    told = [f"{getattr(version, name)} {name}" for name in _CHANGES if getattr(version, name)] or ["no document changed"]
    told += [f"{number_of(version.chunks_embedded, 'chunk')} embedded"] if version.chunks_embedded else []
    told += [f"{version.failed} failed"] if version.failed else []
    cause = version.cause if version.content_of is None else f"{version.cause} to {version.content_of}"
    return f"{cause}: {', '.join(told)}{'' if version.seconds is None else f', in {version.seconds:.1f} s'}"


def show_diff(out: Console, diff: DiffReply) -> None:
    documents, chunks = diff.documents, diff.chunks
    told = ", ".join(f"{count} {name}" for name, count in documents.model_dump().items() if count) or "nothing differs"
    out.print(f"Version {diff.from_version} to {diff.to_version}: documents: {told}")
    out.print(f"chunks of these: {chunks.added} added, {chunks.removed} removed, {chunks.kept} kept")
    for document in diff.changes:
        _show_document(out, document)
    if diff.next is not None:
        rest = f"{diff.total - diff.next} of {diff.total} documents are not shown: go on with `--offset {diff.next}`"
        out.print(Text(rest, style="dim"))


def _show_document(out: Console, document: DocumentDifference) -> None:
    chunks = document.chunks
    name = f"{document.was.source} -> {document.source}" if document.was else document.source
    line = Text(f"{_SIGNS[document.change]} {document.change} {name}", style=_STYLES[document.change])
    out.print(line.append(f"  chunks: {chunks.added} added, {chunks.removed} removed, {chunks.kept} kept", style="dim"))
    for chunk in document.listed:
        _show_chunk(out, chunk)
    if document.listed and document.left_out:
        out.print(Text(f"    {number_of(document.left_out, 'chunk')} more: `--chunks` lists up to 1000 of each document", style="dim"))


def _show_chunk(out: Console, chunk: ChunkDifference) -> None:
    place = f"    {_SIGNS[chunk.change]} {chunk.heading or '(no heading)'}, characters {chunk.start} to {chunk.end}"
    out.print(Text(place, style=_STYLES[chunk.change]))
    if chunk.text is not None:
        out.print(Text("        " + " ".join(chunk.text.split())))
