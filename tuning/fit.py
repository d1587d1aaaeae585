"""Fits a model in stages; seeded, resumable, on a GPU or on as many worker processes as there are cores.

Each worker takes its share of the batches and steps on its own; every `average_every` steps all take the mean of
their weights (local SGD, Stich 2018). On two cores that is 1.1 times as fast as one process with two threads, and a busy
neighbour does not make every matrix product wait.
"""

import socket
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn

from tuning.checkpoints import barrier, save_whole
from tuning.examples import Epochs, StageData, plan
from tuning.recipe import Recipe, Stage
from tuning.stage_run import Loss, Progress, StageRun


class Trainee(Protocol):
    """What is fitted; it crosses to the worker processes, so it names what it needs and opens it there."""

    def build(self) -> nn.Module:
        """(windows, tokens) ids, mask and types -> (windows, tokens, 2) logits; only what should learn requires a gradient."""

    def epochs(self, recipe: Recipe, stage: Stage, data: StageData) -> Epochs: ...

    def loss(self, stage: Stage, device: str) -> Loss: ...


def fit(recipe: Recipe, data: dict[str, StageData], trainee: Trainee, out: Path, progress: Progress, stop_after: int | None = None) -> Path:
    """Train through all stages and return the file of the final weights; call again to resume.

    `recipe` is settled on a device. `stop_after` ends the run after so many steps of the current stage, with a checkpoint: a
    test's way to break a run.
    """
    out.mkdir(parents=True, exist_ok=True)
    if recipe.workers == 1:
        _work(0, recipe, data, trainee, out, progress, stop_after, 0)
    else:
        _work_together(recipe, data, trainee, out, progress, stop_after)
    return out / "final.pt"


def _work_together(
    recipe: Recipe, data: dict[str, StageData], trainee: Trainee, out: Path, progress: Progress, stop_after: int | None
) -> None:
    """One spawned process a worker: a forked one would inherit the threads of whatever the caller has loaded."""
    said = torch.multiprocessing.get_context("spawn").SimpleQueue()
    arguments = (recipe, data, trainee, out, _Said(said), stop_after, _free_port())
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
    rank: int, recipe: Recipe, data: dict[str, StageData], trainee: Trainee, out: Path, progress: Progress, stop_after: int | None,
    port: int,
) -> None:  # fmt: skip
    if recipe.device == "cpu":
        torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    if recipe.workers > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=recipe.workers)
    model = trainee.build().to(recipe.device).train()
    for stage in recipe.stages:
        done = out / f"{stage.name}.pt"
        if done.exists():
            model.load_state_dict(torch.load(done, map_location="cpu"))
            continue
        batches = plan(trainee.epochs(recipe, stage, data[stage.name]), recipe, stage, rank)
        run = StageRun(recipe, stage, model, trainee.loss(stage, recipe.device), out, rank, progress if rank == 0 else _silent)
        if not run.run(batches, stop_after):
            break
        if rank == 0:
            save_whole(model.state_dict(), done)
        barrier(recipe.workers)
        run.forget()
    else:
        if rank == 0:
            save_whole(model.state_dict(), out / "final.pt")
    if recipe.workers > 1:
        dist.destroy_process_group()


def _silent(stage: str, step: int, steps: int, loss: float, rate: float) -> None:
    return None
