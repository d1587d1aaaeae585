"""`python -m tests.bench [NAME ...]` runs bench_<NAME>.py, prints the figures and appends them to .bench/figures.jsonl."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.figure import Figure

FOLDER = Path(__file__).parent
LOG = FOLDER.parents[1] / ".bench" / "figures.jsonl"
COLUMNS = ("figure", "value", "target", "", "n", "seed", "date", "note")


def main() -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure; without names everything.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(known) or 'none yet'}")
    chosen = parser.parse_args().names or known
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"no such bench: {', '.join(unknown)}; there are: {', '.join(known)}")
    measured = [run(name) for name in chosen]
    rows = [row(figure) for figures in measured if figures is not None for figure in figures]
    print("\n" + aligned([COLUMNS, *rows]))
    return 1 if None in measured else 0


def run(name: str) -> list[Figure] | None:
    """None for a bench that broke: its traceback is shown, and the others still run."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.perf_counter()
    try:
        figures: list[Figure] = importlib.import_module(f"tests.bench.bench_{name}").main()
    except Exception:
        traceback.print_exc()
        return None
    log(name, figures, seconds=time.perf_counter() - started)
    return figures


def log(bench: str, figures: list[Figure], *, seconds: float) -> None:
    LOG.parent.mkdir(exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    run_of = {"at": at, "bench": bench, "seconds": round(seconds, 1), "processor": platform.machine(), "cores": os.cpu_count()}
    with LOG.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(run_of | asdict(figure) | {"met": figure.met}) + "\n" for figure in figures)


def row(figure: Figure) -> tuple[str, ...]:
    verdict = {True: "ok", False: "miss", None: ""}[figure.met]
    seed = "" if figure.seed is None else str(figure.seed)
    today = datetime.now(UTC).date().isoformat()
    return figure.name, shown(figure.value, figure), target(figure), verdict, f"{figure.n:,}", seed, today, figure.note


def target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≥' if figure.better == 'higher' else '≤'} {shown(figure.target, figure)}"


def shown(value: float, figure: Figure) -> str:
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{number} {figure.unit}".rstrip()


def aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


if __name__ == "__main__":
    sys.exit(main())
