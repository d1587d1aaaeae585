"""Trains a reader in stages; seeded, resumable, on as many worker processes as there are cores.

Each worker takes its share of the batches and steps on its own; every `average_every` steps all take the mean of
their weights (local SGD, Stich 2018). On two cores that is 1.1 times as fast as one process with two threads, and a busy
neighbour does not make every matrix product wait.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch import nn
from torch.multiprocessing.spawn import spawn

from tuning.dataset import Passage, Question
from tuning.features import Batch, Window, Windows, batches, collate
from tuning.reader_model import ReaderModel, span_loss
from tuning.recipe import Recipe, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class StageData:
    questions: list[Question]
    negatives: dict[str, tuple[Passage, ...]]
    """By question id: passages that our retriever finds and that hold none of its answers."""


Progress = Callable[[str, int, int, float, float], None]
"""(stage, step, steps, mean loss since the last report, tokens a second)"""


def train(recipe: Recipe, data: dict[str, StageData], base: Path, out: Path, progress: Progress, stop_after: int | None = None) -> Path:
    """Train through all stages and return the folder of the final weights; call again to resume.

    `stop_after` ends the run after so many steps of the current stage, with a checkpoint: a test's way to break a run.
    """
    out.mkdir(parents=True, exist_ok=True)
    if recipe.workers == 1:
        _work(0, recipe, data, base, out, progress, stop_after, 0)
    else:
        _work_together(recipe, data, base, out, progress, stop_after)
    return out / "final.pt"


def _work_together(recipe: Recipe, data: dict[str, StageData], base: Path, out: Path, progress: Progress, stop_after: int | None) -> None:
    """One spawned process a worker: a forked one would inherit the threads of whatever the caller has loaded."""
    said = torch.multiprocessing.get_context("spawn").SimpleQueue()
    arguments = (recipe, data, base, out, _Said(said), stop_after, _free_port())
    workers = spawn(_work, args=arguments, nprocs=recipe.workers, join=False)
    ended = False
    while not ended:
        ended = workers.join(timeout=0.5)
        while not said.empty():
            progress(*said.get())


class _Said:
    """Progress that crosses to the parent process."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __call__(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        self._queue.put((stage, step, steps, loss, rate))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _work(
    rank: int, recipe: Recipe, data: dict[str, StageData], base: Path, out: Path, progress: Progress, stop_after: int | None, port: int
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    if recipe.workers > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=recipe.workers)
    model = ReaderModel(base)
    model.freeze_embeddings()
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    report = progress if rank == 0 else _silent
    for stage in recipe.stages:
        done = out / f"{stage.name}.pt"
        if done.exists():
            model.load_state_dict(torch.load(done))
            continue
        finished = _Run(recipe, stage, data[stage.name], tokenizer, model, out, rank, report).run(stop_after)
        if not finished:
            break
        if rank == 0:
            _save(model.state_dict(), done)
        _barrier(recipe.workers)
    else:
        if rank == 0:
            _save(model.state_dict(), out / "final.pt")
    if recipe.workers > 1:
        dist.destroy_process_group()


class _Run:
    """One stage in one worker."""

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        data: StageData,
        tokenizer: Tokenizer,
        model: ReaderModel,
        out: Path,
        rank: int,
        progress: Progress,
    ) -> None:
        self._recipe, self._stage, self._data, self._model, self._progress, self._rank = recipe, stage, data, model, progress, rank
        self._windows = Windows(
            tokenizer,
            lengths=stage.lengths,
            weights=stage.weights,
            negative_rate=stage.negative_rate,
            title_rate=stage.title_rate,
            seed=recipe.seed,
        )
        self._checkpoints = _Checkpoints(out, stage.name, rank, recipe.workers)
        trained = [p for p in model.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1]
        plain = [p for p in trained if p.ndim <= 1]
        self._trained = trained
        self._optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=stage.learning_rate,
            fused=True,
        )

    def run(self, stop_after: int | None) -> bool:
        plan = self._plan()
        resumed = self._resume()
        losses: list[float] = []
        tokens, since = 0, time.monotonic()
        for step in range(resumed, len(plan)):
            losses.append(self._step(collate(plan[step]), step, len(plan)))
            tokens += sum(len(w.ids) for w in plan[step])
            last = step + 1 == len(plan)
            if last or (step + 1) % self._recipe.average_every == 0:
                self._average()
            if (step + 1) % 10 == 0 or last:
                rate = tokens * self._recipe.workers / (time.monotonic() - since)
                self._progress(self._stage.name, step + 1, len(plan), sum(losses) / len(losses), rate)
                losses, tokens, since = [], 0, time.monotonic()
            stopping = stop_after is not None and step + 1 >= stop_after
            if (step + 1) % self._recipe.checkpoint_every == 0 or stopping:
                self._checkpoints.keep(step + 1, {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()})
            if stopping:
                return last
        return True

    def _plan(self) -> list[list[Window]]:
        """This worker's batches of all epochs, the same on every start."""
        made: list[list[Window]] = []
        epoch = 0
        while epoch < self._stage.epochs:
            negatives = self._data.negatives
            groups = [
                self._windows.of(question, negatives.get(question.question_id, ()), number, epoch)
                for number, question in enumerate(self._data.questions)
            ]
            share = min(1.0, self._stage.epochs - epoch)
            whole = batches(groups, tokens=self._recipe.tokens_per_batch, seed=f"{self._recipe.seed}:{self._stage.name}:{epoch}")
            made += whole[: round(len(whole) * share)]
            epoch += 1
        even = len(made) - len(made) % self._recipe.workers
        return made[self._rank : even : self._recipe.workers]

    def _step(self, batch: Batch, step: int, steps: int) -> float:
        warm = max(1, round(steps * self._recipe.warmup))
        scale = min((step + 1) / warm, (steps - step) / max(1, steps - warm))
        for group in self._optimizer.param_groups:
            group["lr"] = self._stage.learning_rate * scale
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self._model(torch.from_numpy(batch.ids), torch.from_numpy(batch.mask), torch.from_numpy(batch.types))
        loss = span_loss(logits, batch, self._stage.shared_weight)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, self._recipe.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()

    def _average(self) -> None:
        if self._recipe.workers == 1:
            return
        with torch.no_grad():
            flat = nn.utils.parameters_to_vector(self._trained)
            dist.all_reduce(flat)
            nn.utils.vector_to_parameters(flat / self._recipe.workers, self._trained)

    def _resume(self) -> int:
        step, state = self._checkpoints.newest()
        if state is not None:
            self._model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
        return step


class _Checkpoints:
    """One file a worker and step. A step counts once every worker has written it: a run killed in between takes the one before."""

    def __init__(self, folder: Path, stage: str, rank: int, workers: int) -> None:
        self._folder, self._stage, self._rank, self._workers = folder, stage, rank, workers

    def keep(self, step: int, state: dict[str, Any]) -> None:
        _save(state, self._file(step, self._rank))
        _barrier(self._workers)
        for old in self._folder.glob(f"{self._stage}.step*.{self._rank}.pt"):
            if old != self._file(step, self._rank):
                old.unlink()

    def newest(self) -> tuple[int, dict[str, Any] | None]:
        """(step, state); 0 and None where there is none."""
        written = {int(f.name.split(".step")[1].split(".")[0]) for f in self._folder.glob(f"{self._stage}.step*.pt")}
        whole = [step for step in written if all(self._file(step, rank).exists() for rank in range(self._workers))]
        if not whole:
            return 0, None
        return max(whole), torch.load(self._file(max(whole), self._rank))

    def _file(self, step: int, rank: int) -> Path:
        return self._folder / f"{self._stage}.step{step:06d}.{rank}.pt"


def _save(state: dict[str, Any], path: Path) -> None:
    scratch = path.with_suffix(".tmp")
    torch.save(state, scratch)
    scratch.replace(path)


def _barrier(workers: int) -> None:
    if workers > 1:
        dist.barrier()


def _silent(stage: str, step: int, steps: int, loss: float, rate: float) -> None:
    return None
