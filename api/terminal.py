"""How results look to a person at a terminal."""

from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.auth import StoredKey
from api.ledger import LedgerReply, LineBody
from api.progress import counted, number_of
from api.prompt import PromptReply
from api.schemas import (
    AnswerBody,
    CitationBody,
    ForgetReply,
    GeneratorReply,
    IndexReply,
    PreviewReply,
    ProgressBody,
    SearchReply,
    SourceBody,
    SyncReply,
)
from core.types import Json, SyncProgress


def show_answer(out: Console, answer: AnswerBody) -> None:
    if answer.abstained:
        why = answer.route[-1].reason if answer.route else "no tier was asked"
        out.print(Text("No answer that can be trusted", style="bold yellow").append(f": {why}", style="default"))
        out.print("The best passages:" if answer.citations else "Nothing in the documents comes near the question.")
    else:
        out.print(Text(answer.answer or "", style="bold"))
    if answer.below_threshold:
        failed = answer.route[-1].reason
        out.print(Text("Not sure", style="bold yellow").append(f": below the reader's threshold, given because {failed}", style="default"))
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
    facts += [f"tier {answer.tier or 'none'}", f"{answer.timings_ms.get('total', 0.0):.0f} ms", _cost(answer)]
    return " · ".join(facts)


def _cost(answer: AnswerBody) -> str:
    known = dollars(answer.cost_micro_usd)
    return known if answer.untold_micro_usd is None else f"{known}, and at most {dollars(answer.untold_micro_usd)} that was not told"


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
    out.print(f"{number_of(report.chunks_embedded, 'chunk')} embedded, {report.chunks_reused:,} reused")
    for note in report.notes:
        out.print(Text(f"note: {note}", style="dim"))
    for failure in report.failed:
        out.print(Text(f"failed: {failure.source}: {failure.reason}", style="yellow"))


def show_preview(out: Console, found: PreviewReply) -> None:
    for name in found.added:
        out.print(Text(f"added: {name}"))
    for name in found.changed:
        out.print(Text(f"changed: {name}"))
    for pair in found.renamed:
        out.print(Text(f"renamed: {pair.before} to {pair.after}"))
    for name in found.removed:
        out.print(Text(f"removed: {name}"))
    for failure in found.failed:
        out.print(Text(f"would fail: {failure.source}: {failure.reason}", style="yellow"))
    for note in found.notes:
        out.print(Text(f"note: {note}", style="dim"))
    taking = "an unknown time, as no earlier sync tells" if found.expected_seconds is None else f"about {found.expected_seconds:.1f} s"
    out.print(
        f"{found.unchanged} unchanged. A sync would embed {number_of(found.chunks_to_embed, 'chunk')}"
        f" ({found.characters_to_embed:,} characters) and take {taking}. Nothing was written."
    )


def show_forgotten(out: Console, report: ForgetReply) -> None:
    out.print(f"Version {report.version}: {number_of(report.documents, 'document')} forgotten, in {report.seconds:.1f} s")
    words = f"the words of {number_of(report.answers_erased, 'recorded answer')}"
    out.print(f"{number_of(report.vectors_erased, 'vector')} and {words} were erased with them")
    if report.versions_dropped:
        out.print(f"Versions that held them are not kept any more: {', '.join(map(str, report.versions_dropped))}")
    for place in report.left:
        out.print(Text(f"out of reach: {place}", style="yellow"))


def show_index(out: Console, index: IndexReply) -> None:
    if index.version is None:
        out.print("Nothing is indexed yet: run `understudy ingest PATH`")
    else:
        when = datetime.fromtimestamp(index.published_at or 0).strftime("%Y-%m-%d %H:%M")
        size = f"{number_of(index.documents, 'document')}, {number_of(index.chunks, 'chunk')}"
        out.print(f"Version {index.version} of {when}: {size}, embedder {index.embedder}")
    for source in index.sources:
        left_out = f", {number_of(source.forgotten, 'forgotten document')} left out" if source.forgotten else ""
        out.print(f"  {escape(source.kind)} {escape(source.location)}{escape(_followed(source))}{left_out}")
    if index.held is not None:
        held = f"  held since the rollback to version {index.held.version}: `understudy sync --release` reads the sources again"
        out.print(Text(held, style="yellow"))
    for failure in index.failed:
        out.print(Text(f"  failed: {failure.source}: {failure.reason}", style="yellow"))
    if index.sync_running:
        out.print(f"A sync is running{_how_far(index.sync_progress)}.")


def _how_far(progress: ProgressBody | None) -> str:
    return "" if progress is None else f": {progress.step} {counted(SyncProgress(**progress.model_dump()))}".rstrip()


def _followed(source: SourceBody) -> str:
    if source.kind != "git":
        return ""
    return f" at {source.ref or 'its default branch'}, commit {source.revision[:12] if source.revision else 'none yet'}"


def show_generator(out: Console, generator: GeneratorReply) -> None:
    out.print(f"Mode {generator.mode}{'' if generator.ready else ', which has no ready tier'}")
    for tier in generator.tiers:
        out.print(f"  {escape(tier.name)}: {'ready' if tier.ready else 'not ready'}, {escape(tier.reason)}")
    usable = [mode for mode, ready in generator.modes.items() if ready]
    out.print(f"Modes that can be set now: {', '.join(usable) or 'none'}")


def show_ledger(out: Console, ledger: LedgerReply) -> None:
    table = Table(box=None, pad_edge=False)
    for dimension in ledger.by:
        table.add_column(dimension)
    for name in ("answers", "calls", "spent", "uncached", "frontier only", "cache hits"):
        table.add_column(name, justify="right")
    for line in ledger.lines:
        table.add_row(*(str(getattr(line, name)) for name in ledger.by), *_cells(line))
    if ledger.by:
        table.add_row(*("all", *[""] * (len(ledger.by) - 1)), *_cells(ledger.total), style="bold")
    out.print(table)
    if ledger.total.untold:
        most = dollars(ledger.total.untold_micro_usd)
        out.print(
            Text(f"+ at most {most} by calls that ended before the API had told what they cost: {ledger.total.untold}.", style="yellow")
        )
    if ledger.total.frontier_only_micro_usd is None:
        out.print(Text("Frontier only is unknown: no frontier model has completed an answer in this period.", style="dim"))


def _cells(line: LineBody) -> list[str]:
    only = line.frontier_only_micro_usd
    rate = "" if line.cache_hit_rate is None else f"{line.cache_hit_rate:.1%}"
    spent = f"{dollars(line.cost_micro_usd)}{'+' if line.untold else ''}"
    bills = [spent, dollars(line.uncached_micro_usd), "unknown" if only is None else dollars(only)]
    return [str(line.answers), str(line.attempts), *bills, rate]


def dollars(micro_usd: int) -> str:
    return f"${micro_usd // 1_000_000:,}.{micro_usd % 1_000_000:06d}"


def show_prompt(out: Console, prompt: PromptReply) -> None:
    for block in prompt.system:
        out.print(Text(str(block["text"])))
        if "cache_control" in block:
            out.print(Text(f"--- cache breakpoint, {prompt.ttl} ---", style="bold magenta"))
    for block in prompt.messages[0]["content"]:
        _show_block(out, block)
    out.print(Text(_prompt_facts(prompt), style="dim"))
    for warning in prompt.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))


def _show_block(out: Console, block: Json) -> None:
    if block["type"] == "search_result":
        out.print(Text(f"\n[{block['source']}] {block['title']}", style="cyan"))
        for sentence in block["content"]:
            out.print(Text(f"  {sentence['text']}"))
    else:
        out.print(Text(f"\n{block['text']}\n", style="bold"))


def _prompt_facts(prompt: PromptReply) -> str:
    tokens = f"{prompt.prefix_tokens:,} tokens before the breakpoint, {prompt.fresh_tokens:,} after it (estimated: no model was asked)"
    bills = f"cold {dollars(prompt.cold_micro_usd)}, warm {dollars(prompt.warm_micro_usd)}, uncached {dollars(prompt.uncached_micro_usd)}"
    return (
        f"model {prompt.model} · {tokens}\nfor the prompt: {bills}; for each 100 tokens of the answer"
        f" {dollars(prompt.output_micro_usd_per_100_tokens)} more"
    )


def show_keys(out: Console, keys: list[StoredKey]) -> None:
    if not keys:
        out.print("No keys yet: `understudy keys create` makes one. Without keys the server answers on this machine only.")
    for key in keys:
        made = datetime.fromtimestamp(key.created_at).strftime("%Y-%m-%d")
        out.print(
            f"{key.key_id}  tenant {escape(key.tenant)}  scopes {', '.join(key.scopes)}  made {made}{'  revoked' if key.revoked_at else ''}"
        )
