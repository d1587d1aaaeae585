"""163 real files, some hostile: none may crash or hang the run, and each that fails has a reason."""

import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from core.errors import ParseFailed
from ingest.parse import media_type_of
from ingest.sandbox import Sandbox
from tests.ingest.conftest import House

FILES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "parser_files"

pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="../shared/data/parser_files is not here")


def test_parser_files_all_parse_or_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in (FILES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    supported = [row for row in rows if media_type_of(row["file"])]
    reasons: dict[str, str] = {}
    recalls: defaultdict[str, list[float]] = defaultdict(list)
    slowest = 0.0
    with Sandbox(seconds=30) as sandbox:
        for row in supported:
            media_type = str(media_type_of(row["file"]))
            started = time.monotonic()
            try:
                text = sandbox.parse((FILES / row["file"]).read_bytes(), media_type).text
            except ParseFailed as error:
                reasons[row["file"]] = str(error)
                continue
            slowest = max(slowest, time.monotonic() - started)
            if row.get("gold_md"):
                recalls[row["ext"]].append(word_recall(text, (FILES / row["gold_md"]).read_text(encoding="utf-8", errors="replace")))
    with capsys.disabled():
        found = ", ".join(f"{kind} {sum(values) / len(values):.2f} (n={len(values)})" for kind, values in sorted(recalls.items()))
        sys.stdout.write(f"\nparser_files: {len(supported) - len(reasons)} of {len(supported)} parsed, slowest {slowest:.1f} s\n")
        sys.stdout.write(f"word recall against the references: {found}\nnot parsed: {reasons}\n")
    assert len(reasons) <= 3 and all(reasons.values())
    assert min(sum(values) / len(values) for values in recalls.values()) > 0.9


def test_parser_files_go_through_a_whole_sync(house: House) -> None:
    report = house.sync(FILES)
    assert report.added > 150 and len(report.failed) <= 3 and report.skipped > 20
    assert house.sync(FILES).unchanged == report.added
    house.chunk_ids()


def word_recall(text: str, reference: str) -> float:
    words = set(re.findall(r"\w+", text.lower()))
    wanted = re.findall(r"\w+", re.sub(r"\]\([^)]*\)|<!--.*?-->|https?://\S+", "", reference).lower())
    return sum(word in words for word in wanted) / max(1, len(wanted))
