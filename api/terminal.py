"""How results look to a person at a terminal."""

from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from api.auth import StoredKey
from api.schemas import AnswerBody, CitationBody, GeneratorReply, IndexReply, SearchReply, SyncReply


def show_answer(out: Console, answer: AnswerBody) -> None:
    if answer.abstained:
        why = answer.route[-1].reason if answer.route else "no tier was asked"
        out.print(Text("No answer that can be trusted", style="bold yellow").append(f": {why}", style="default"))
        out.print("The best passages:" if answer.citations else "Nothing in the documents comes near the question.")
    else:
        out.print(Text(answer.answer or "", style="bold"))
    for citation in answer.citations:
        out.print()
        _show_citation(out, citation, None if answer.abstained else answer.answer)
    out.print()
    out.print(Text(_facts(answer), style="dim"))


def _show_citation(out: Console, citation: CitationBody, answer: str | None) -> None:
    quote = Text(citation.quote.strip())
    if answer:
        begin = quote.plain.find(answer)
        quote.stylize("bold reverse", begin, begin + len(answer)) if begin >= 0 else None
    out.print(Text("  “").append_text(quote).append("”"))
    place = f"{citation.source}, {citation.heading or citation.title}, characters {citation.start} to {citation.end}"
    out.print(Text(f"  {place}", style="cyan"))


def _facts(answer: AnswerBody) -> str:
    facts = []
    if answer.confidence is not None:
        facts.append(f"confidence {answer.confidence:.2f} ({answer.confidence_source})")
    facts += [f"tier {answer.tier or 'none'}", f"{answer.timings_ms.get('total', 0.0):.0f} ms", f"${answer.cost_micro_usd / 1_000_000:.6f}"]
    return " · ".join(facts)


def show_hits(out: Console, reply: SearchReply) -> None:
    if not reply.hits:
        out.print("Nothing found.")
    for number, hit in enumerate(reply.hits, start=1):
        out.print(Text(f"{number}. {hit.source}", style="bold cyan").append(f"  {hit.heading or hit.title}", style="default not bold"))
        out.print(Text(f"   score {hit.score:.3f} · characters {hit.start} to {hit.end}", style="dim"))
        out.print(Text("   " + " ".join(hit.text.split())))


def show_report(out: Console, report: SyncReply) -> None:
    changes = ("added", "changed", "renamed", "removed", "unchanged")
    told = ", ".join(f"{getattr(report, change)} {change}" for change in changes if getattr(report, change)) or "nothing to read"
    out.print(f"Version {report.version}: {told}, in {report.seconds:.1f} s")
    out.print(f"{report.chunks_embedded} chunks embedded, {report.chunks_reused} reused")
    for failure in report.failed:
        out.print(Text(f"failed: {failure.source}: {failure.reason}", style="yellow"))


def show_index(out: Console, index: IndexReply) -> None:
    if index.version is None:
        out.print("Nothing is indexed yet: run `understudy ingest PATH`")
    else:
        when = datetime.fromtimestamp(index.published_at or 0).strftime("%Y-%m-%d %H:%M")
        out.print(f"Version {index.version} of {when}: {index.documents} documents, {index.chunks} chunks, embedder {index.embedder}")
    for source in index.sources:
        out.print(f"  {escape(source.kind)} {escape(source.location)}")
    for failure in index.failed:
        out.print(Text(f"  failed: {failure.source}: {failure.reason}", style="yellow"))
    if index.sync_running:
        out.print("A sync is running.")


def show_generator(out: Console, generator: GeneratorReply) -> None:
    out.print(f"Mode {generator.mode}{'' if generator.ready else ', which has no ready tier'}")
    for tier in generator.tiers:
        out.print(f"  {escape(tier.name)}: {'ready' if tier.ready else 'not ready'}, {escape(tier.reason)}")
    usable = [mode for mode, ready in generator.modes.items() if ready]
    out.print(f"Modes that can be set now: {', '.join(usable) or 'none'}")


def show_keys(out: Console, keys: list[StoredKey]) -> None:
    if not keys:
        out.print("No keys yet: `understudy keys create` makes one. Without keys the server answers on this machine only.")
    for key in keys:
        made = datetime.fromtimestamp(key.created_at).strftime("%Y-%m-%d")
        out.print(
            f"{key.key_id}  tenant {escape(key.tenant)}  scopes {', '.join(key.scopes)}  made {made}{'  revoked' if key.revoked_at else ''}"
        )
