"""What `understudy verify` and GET /v1/index/verify say."""

from pydantic import Field
from rich.console import Console
from rich.text import Text

from api.auth import local_scope
from api.examples import VERIFIED, shown
from api.output import tell
from api.progress import number_of
from api.schemas import Reply
from api.stack import open_target
from core.settings import read_settings
from core.types import Flaw
from ingest.target import ignore_progress
from ingest.verify import verify

_WELL, _DIFFERS = 0, 2


class FindingBody(Reply):
    flaw: Flaw
    detail: str
    chunk_id: str | None


class VerifiedBody(Reply):
    version: int
    published: bool
    documents: int
    chunks: int
    flaws: dict[Flaw, int] = Field(description="How many of each kind; empty where all is well.")
    findings: list[FindingBody] = Field(description="The first hundred of them.")


class VerifyReply(Reply):
    model_config = shown(VERIFIED)

    version: int = Field(description="The published one.")
    well: bool = Field(description="Whether nothing differs.")
    versions: list[VerifiedBody]
    seconds: float


def run_verify(*, everything: bool, tenant: str, as_json: bool) -> int:
    report = verify(open_target(read_settings(), local_scope(tenant), ignore_progress), everything=everything)
    tell(VerifyReply.model_validate(report), show_verified, as_json=as_json)
    return _WELL if report.well else _DIFFERS


def show_verified(out: Console, report: VerifyReply) -> None:
    for checked in report.versions:
        held = f"Version {checked.version}, {number_of(checked.documents, 'document')}, {number_of(checked.chunks, 'chunk')}"
        told = ", ".join(f"{count} {flaw}" for flaw, count in checked.flaws.items())
        out.print(Text(f"{held}: {told or 'the index and the database agree'}", style="yellow" if told else ""))
        for finding in checked.findings:
            out.print(Text(f"  {finding.flaw}: {finding.detail}", style="yellow"))
    if not report.well:
        out.print(
            "`understudy rebuild` makes the index again from the database, and chunks from the texts of their documents; a document whose"
            " text or vector is wrong comes back by `understudy forget` of it and `understudy ingest` of its file, or from a backup."
        )
