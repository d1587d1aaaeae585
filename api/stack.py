"""The composition root: the one place where settings choose classes and the stages are put together."""

import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from api.auth import every_scope, local_scope
from api.mode import keep_first_mode
from api.unready import UnreadyTier
from api.worker import Job, Worker
from core.database import open_database, sqlite_url
from core.errors import CorruptModel, InvalidSettings, StorageFull, SyncRunning
from core.protocols import Closing, Embedder, Index, OnProgress, Retriever, Tier, Warming
from core.settings import FrontierModel, FrontierSettings, Settings
from core.types import EmbedderName, Scope, SyncProgress
from generation.answer import Answerer
from generation.breaker import Breaker
from generation.bulkhead import Bulkhead
from generation.capabilities import read_capabilities
from generation.exemplars import read_exemplars
from generation.guard import GuardedTier
from generation.journal import recent_arrivals, record_prewarm
from generation.prices import Prices, read_prices
from generation.prompt import Prefix, build_prefix
from generation.retry import Retry
from generation.ttl import Arrivals
from ingest.lock import sync_runs
from ingest.progress import noted, read_progress

if TYPE_CHECKING:
    from ingest.target import Target

_ROOT = Path(__file__).parents[1]
_SHIPPED_READER = _ROOT / "models" / "reader"
_LEAVING_SECONDS = 30.0
"""After its deadline a request may still be on its way out."""
_NEVER = 2.0
"""A threshold that no confidence reaches: without a reader nothing is accepted in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """What the faces use."""

    settings: Settings
    engine: Engine
    retriever: Retriever
    answerer: Answerer
    worker: Worker
    warm_ups: Sequence[Callable[[], None]] = ()
    """What a server does before it answers, so that the first questions take no longer than the next."""
    closings: Sequence[Callable[[], Awaitable[None]]] = ()
    """What whoever asked does in the end."""

    def sync_running(self) -> bool:
        """Whether any process writes the index at the moment."""
        return self.worker.running or sync_runs(self.settings.data_dir)

    def sync_progress(self, scope: Scope) -> SyncProgress | None:
        return read_progress(self.settings.data_dir, scope)

    def start_writing(self, scope: Scope, arguments: Sequence[str]) -> Job:
        """Run a writing command in a child process; raises SyncRunning while any process writes."""
        if self.sync_running():
            raise SyncRunning()
        return self.worker.start(scope, arguments)


def build_stack(settings: Settings) -> Stack:
    engine = open_engine(settings)
    retriever = open_retriever(settings, engine)
    tiers, threshold = open_tiers(settings, engine)
    return Stack(
        settings=settings,
        engine=engine,
        retriever=retriever,
        answerer=Answerer(retriever=retriever, tiers=tiers, hybrid_threshold=threshold, when_failing=settings.frontier.when_failing),
        worker=Worker(engine, writing_command(), environment=writing_environment()),
        warm_ups=[*(part.warm_up for part in (retriever, *tiers.values()) if isinstance(part, Warming)), _keep_what_is_loaded],
        closings=[tier.close for tier in tiers.values() if isinstance(tier, Closing)],
    )


def open_engine(settings: Settings) -> Engine:
    """The database, made and migrated where needed; the mode of a new one comes from the settings."""
    _make_folder(settings.data_dir)
    engine = open_database(settings.database_url or sqlite_url(settings.data_dir))
    keep_first_mode(engine, settings.mode)
    return engine


def open_retriever(settings: Settings, engine: Engine) -> Retriever:
    from retrieval.search import HybridRetriever

    chosen = settings.retrieval
    return HybridRetriever(
        engine, open_index(settings), open_the_embedder(settings), dense_weight=chosen.dense_weight, candidates=chosen.candidates,
        open_named=partial(open_named_embedder, settings),
    )  # fmt: skip


def open_the_embedder(settings: Settings) -> Embedder:
    return open_named_embedder(settings, _embedder_name(settings))


def open_named_embedder(settings: Settings, name: EmbedderName) -> Embedder:
    from retrieval.embedder import open_embedder

    return open_embedder(name.model, name.runtime, _cache(settings))


def _embedder_name(settings: Settings) -> EmbedderName:
    """A folder by its whole path, as the next process may stand elsewhere."""
    model = Path(settings.embedder.model)
    is_folder = (model / "modules.json").is_file()
    return EmbedderName(model=str(model.resolve()) if is_folder else settings.embedder.model, runtime=settings.embedder.runtime)


def open_index(settings: Settings) -> Index:
    match settings.qdrant.url:
        case None:
            from retrieval.index.edge import EdgeIndex

            return EdgeIndex(settings.data_dir / "index")
        case url:
            from retrieval.index.server import connect

            return connect(url, settings.qdrant.api_key, settings.qdrant.collection)


def open_target(settings: Settings, scope: Scope, on_progress: OnProgress) -> "Target":
    """Where a sync writes, and notes how far it is."""
    from ingest.target import Limits, Target

    engine = open_engine(settings)
    return Target(
        engine=engine, everyone=every_scope(engine), index=open_index(settings), embedder=open_the_embedder(settings), scope=scope,
        embedder_name=_embedder_name(settings),
        data_dir=settings.data_dir.resolve(), on_progress=noted(settings.data_dir, scope, on_progress),
        limits=Limits(**settings.ingest.model_dump(), longest_request_seconds=settings.server.request_seconds + _LEAVING_SECONDS),
    )  # fmt: skip


def open_tiers(settings: Settings, engine: Engine) -> tuple[dict[str, Tier], float]:
    """The tiers from cheapest to dearest, and the confidence from which hybrid accepts the reader."""
    reader, threshold = open_the_reader(settings)
    return {"reader": reader, **open_frontier(settings, engine)}, threshold


def open_the_reader(settings: Settings) -> tuple[Tier, float]:
    from generation.tiers.reader import open_reader

    try:
        reader = open_reader(settings.reader.path or _SHIPPED_READER, _cache(settings), max_wrong=settings.reader.max_wrong)
    except CorruptModel as error:
        return UnreadyTier("reader", str(error)), _NEVER
    return reader, reader.threshold


def open_frontier(settings: Settings, engine: Engine) -> dict[str, Tier]:
    """Claude's models in their order; without a key none of them is ready, and nothing is read or loaded for them."""
    from generation.tiers.credentials import missing

    lacks = missing()
    if lacks:
        return {model.name: UnreadyTier(model.name, lacks) for model in settings.frontier.models}
    prefix, prices = build_prefix(read_exemplars(settings.frontier.exemplars)), read_prices(settings.frontier.prices)
    return {model.name: _open_model(model, settings.frontier, engine, prefix, prices) for model in settings.frontier.models}


def _open_model(model: FrontierModel, chosen: FrontierSettings, engine: Engine, prefix: Prefix, prices: Prices) -> Tier:
    from generation.tiers.anthropic import AnthropicTier, Patience

    try:
        tier = AnthropicTier(
            model.name, effort=model.effort, max_tokens=model.max_tokens, prefix=prefix, prices=prices, ttl=chosen.ttl,
            arrivals=Arrivals(recent_arrivals(engine, model.name)), known=read_capabilities().get(model.name),
            on_prewarm=partial(record_prewarm, engine, local_scope()) if chosen.prewarm else None,
            patience=Patience(connect=chosen.connect_seconds, silence=chosen.silence_seconds),
        )  # fmt: skip
    except InvalidSettings as error:
        return UnreadyTier(model.name, str(error))
    return GuardedTier(tier, retry=Retry(), breaker=Breaker(), bulkhead=Bulkhead(places=chosen.at_once))


def writing_command() -> list[str]:
    """-P: a folder named like one of our packages, where the user stands, is not ours."""
    return [sys.executable, "-P", "-m", "api.cli"]


def writing_environment() -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), inherited] if inherited else [str(_ROOT)])}


def _keep_what_is_loaded() -> None:
    """Out of the garbage collector's sight: looking through it takes a tenth of a second, in which nobody is answered."""
    gc.collect()
    gc.freeze()


def _cache(settings: Settings) -> Path:
    return settings.data_dir / "cache"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == 28:
            raise StorageFull() from error
        raise InvalidSettings(f"UNDERSTUDY_DATA_DIR: {str(folder)!r} cannot be made ({error.strerror}): name another folder") from error
