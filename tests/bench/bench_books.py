"""Is anything lost or counted twice? 5,000 questions, a fifth of all calls going wrong in every way, and the double's books beside ours."""

import asyncio
import tempfile
from pathlib import Path

from core.database import open_database, sqlite_url
from tests.bench.audit import Audit, audit
from tests.bench.bench_api import EXAMPLES, understudy
from tests.bench.figure import Figure
from tests.bench.traffic import Dealt, draw_cases, send_all, serving
from tests.messages_api.answers import Gold, read_gold
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import never_accepts

SEED = 7
REQUESTS = 5_000
SHARE = 0.2
AT_ONCE = 16


def main() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        understudy("ingest", str(EXAMPLES / "corpus"), folder=folder)
        found = audited(Path(folder), read_gold(EXAMPLES / "questions.jsonl"), REQUESTS, share=SHARE, seed=SEED, at_once=AT_ONCE)
    return figures(found)


def audited(data: Path, gold: dict[str, Gold], n: int, *, share: float, seed: int, at_once: int) -> Audit:
    """`data` holds an index of documents that answer the questions of `gold`. Two servers share it; the API of one never accepts."""
    cases = draw_cases(list(gold), n, share=share, seed=seed)
    with MessagesApi(gold=gold, plan=Dealt(share=share, seed=seed)) as double, never_accepts() as silent:
        with serving(data, double.url, FRONTIER__PREWARM="true") as url, serving(data, silent) as silent_url:
            sent = asyncio.run(send_all(cases, double, url=url, silent_url=silent_url, at_once=at_once))
        engine = open_database(sqlite_url(data))
        found = audit(engine, double.books, sent)
        engine.dispose()
    return found


def figures(found: Audit) -> list[Figure]:
    bound = found.total.cost_micro_usd + found.total.untold_micro_usd
    least = min(found.injected.values(), default=0)
    struck = f"{found.injected.total():,} of {found.calls:,} calls, each of {len(found.injected)} kinds {least} times or more"
    unsent = (
        f"{found.faults['connect_timeout']} could not connect, {found.faults['circuit_open']} were not tried; {found.left} clients hung up"
    )
    unheard = f"besides {found.unheard_micro_usd:,} that was told just when we gave up, and is in the ledger as untold"
    untold = (
        f"in truth {found.billed_untold} were charged for more than was told; ${found.total.cost_micro_usd / 1e6:.6f} told,"
        f" ${float(found.true_micro_usd) / 1e6:.6f} in truth, ${bound / 1e6:.6f} at most"
    )
    return [
        none_of("answers lost", found.lost, found, note=unsent),
        none_of("answers counted twice", found.twice, found),
        none_of("ledger against the double's books", abs(found.difference_micro_usd), found, unit="micro-dollars", note=unheard),
        none_of("requests whose own bill differs from the books", found.wrong_bills, found),
        none_of("calls without an attempt, or the other way round", found.unmatched_calls, found),
        none_of("kinds of fault that never struck", len(found.missing), found, note=struck),
        none_of("true bill above the ledger's bound", max(0.0, float(found.true_micro_usd - bound)), found, unit="micro-dollars"),
        Figure(name="attempts whose cost was not told", value=found.total.untold, unit="", n=found.requests, seed=SEED, note=untold),
    ]


def none_of(name: str, value: float, found: Audit, *, unit: str = "", note: str = "") -> Figure:
    return Figure(name=name, value=value, unit=unit, target=0, better="lower", n=found.requests, seed=SEED, note=note)
