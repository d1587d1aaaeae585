"""Names every step of this process that lasts, just before and just after it happens, without a line of its own in the product.

Files are seen by Python's audit events, SQL and its commits by SQLAlchemy's, the engine's calls and fsync by wrapping them.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from sqlalchemy import Engine, event

from core.protocols import Embedder
from retrieval.index import edge as edge_module
from tests.crash.qdrant import LASTING, RemoteQdrant

ROOT = Path(__file__).parents[2]
TRACED = tuple(str(ROOT / package) for package in ("core", "ingest", "retrieval"))
_FILES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
_LASTING = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM|PRAGMA) (\w+)")

OnStep = Callable[[str], None]


def watch_steps(folder: Path, engine: Engine, embedder: Embedder, on_step: OnStep) -> None:
    """From here on, in this process; `folder` is where a file must lie for its changes to count."""
    _watch_files(folder, on_step)
    _watch_database(engine, on_step)
    _watch_index(on_step)
    _watch_server(on_step)
    _wrap(os, "fsync", on_step, "fsync")
    _wrap(embedder, "embed_documents", on_step, "embed")


def watch_lines(on_line: Callable[[], None]) -> None:
    """Every line of the product that this thread runs."""

    def in_frame(_: FrameType, what: str, __: object) -> Any:
        if what == "line":
            on_line()
        return in_frame

    def entering(frame: FrameType, _: str, __: object) -> Any:
        return in_frame if frame.f_code.co_filename.startswith(TRACED) else None

    sys.settrace(entering)


def _watch_files(folder: Path, on_step: OnStep) -> None:
    def audit(event_name: str, arguments: tuple[Any, ...]) -> None:
        if event_name == "fcntl.flock":
            on_step("lock")
        elif event_name in _FILES:
            on_step(f"{event_name} {_shown(arguments[0])}")
        elif event_name == "open" and _writes(arguments) and str(arguments[0]).startswith(str(folder)):
            on_step(f"open {_shown(arguments[0])}")

    sys.addaudithook(audit)


def _writes(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _shown(path: object) -> str:
    """Without what differs between two runs; the many files of the engine are one step, which happens often."""
    name = os.fsdecode(path) if isinstance(path, str | bytes | Path) else str(path)
    if "/shard" in name or not name.startswith("/"):
        return "in a folder of the engine"
    return re.sub(r"\d+", "N", Path(name).name)


def _watch_database(engine: Engine, on_step: OnStep) -> None:
    written = ["nothing"]

    def before(_: object, __: object, statement: str, *___: object) -> None:
        if found := _LASTING.match(statement):
            written[0] = " ".join(found.groups()).lower()
            on_step(f"before {written[0]}")

    def after(_: object, __: object, statement: str, *___: object) -> None:
        if _LASTING.match(statement):
            on_step(f"after {written[0]}")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    commit = engine.dialect.do_commit

    def watched(connection: Any) -> None:
        last, written[0] = written[0], "nothing"
        if last == "nothing":
            return commit(connection)
        on_step(f"before commit of {last}")
        commit(connection)
        on_step(f"after commit of {last}")

    setattr(engine.dialect, "do_commit", watched)  # noqa: B010


def _watch_index(on_step: OnStep) -> None:
    engine = getattr(edge_module, "edge")  # noqa: B009
    shard = SimpleNamespace(
        load=lambda *arguments: _Shard(_around(engine.EdgeShard.load, on_step, "shard load")(*arguments), on_step),
        create=lambda *arguments: _Shard(_around(engine.EdgeShard.create, on_step, "shard create")(*arguments), on_step),
    )
    names = {name: getattr(engine, name) for name in dir(engine)}
    setattr(edge_module, "edge", SimpleNamespace(**{**names, "EdgeShard": shard}))  # noqa: B010
    for name in ("publish", "withdraw", "remove", "copy_sparse", "write_manifest"):
        _wrap(edge_module, name, on_step, name)


def _watch_server(on_step: OnStep) -> None:
    call = RemoteQdrant.call

    def watched(client: RemoteQdrant, method: str, *arguments: Any, **named: Any) -> Any:
        around = _around(call, on_step, f"qdrant {method}") if method in LASTING else call
        return around(client, method, *arguments, **named)

    setattr(RemoteQdrant, "call", watched)  # noqa: B010


class _Shard:
    def __init__(self, shard: Any, on_step: OnStep) -> None:
        self._shard = shard
        self._on_step = on_step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._shard, name)
        return _around(found, self._on_step, f"shard {name}") if name in ("update", "flush", "optimize", "close") else found


def _wrap(owner: object, name: str, on_step: OnStep, shown: str) -> None:
    setattr(owner, name, _around(getattr(owner, name), on_step, shown))


def _around(call: Callable[..., Any], on_step: OnStep, name: str) -> Callable[..., Any]:
    def around(*arguments: Any, **named: Any) -> Any:
        on_step(f"before {name}")
        result = call(*arguments, **named)
        on_step(f"after {name}")
        return result

    return around
