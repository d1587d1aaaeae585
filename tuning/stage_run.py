"""One stage in one worker."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tuning.checkpoints import Checkpoints
from tuning.features import Batch, Window, collate
from tuning.recipe import Recipe, Stage

Progress = Callable[[str, int, int, float, float], None]
"""(stage, step, steps, mean loss since the last report, tokens a second)"""
Loss = Callable[[Tensor, Batch], Tensor]

REPORT_EVERY = 10


class StageRun:
    """Steps through the plan from the last checkpoint on."""

    def __init__(self, recipe: Recipe, stage: Stage, model: nn.Module, loss: Loss, out: Path, rank: int, progress: Progress) -> None:
        self._recipe, self._stage, self._model, self._loss, self._rank, self._progress = recipe, stage, model, loss, rank, progress
        self._checkpoints = Checkpoints(out, stage.name, rank, recipe.workers)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        decayed = [p for p in self._trained if p.ndim > 1]
        plain = [p for p in self._trained if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=stage.learning_rate,
            fused=True,
        )

    def run(self, plan: Sequence[list[Window]], stop_after: int | None) -> bool:
        """Whether the stage is finished."""
        said = _Report(self._progress, self._stage.name, len(plan), self._recipe.workers)
        for step in range(self._resume(), len(plan)):
            said.add(self._step(collate(plan[step]), step, len(plan)), sum(len(w.ids) for w in plan[step]))
            last = step + 1 == len(plan)
            if last or (step + 1) % self._recipe.average_every == 0:
                self._average()
            if last or (step + 1) % REPORT_EVERY == 0:
                said.report(step + 1)
            stopping = stop_after is not None and step + 1 >= stop_after
            if (step + 1) % self._recipe.checkpoint_every == 0 or stopping:
                self._checkpoints.keep(step + 1, {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()})
            if stopping:
                return last
        return True

    def forget(self) -> None:
        """The checkpoints of a stage whose weights are kept: three times their size."""
        self._checkpoints.clear()

    def _step(self, batch: Batch, step: int, steps: int) -> Tensor:
        self._seed(step)
        warm = max(1, round(steps * self._recipe.warmup))
        scale = min((step + 1) / warm, (steps - step) / max(1, steps - warm))
        for group in self._optimizer.param_groups:
            group["lr"] = self._stage.learning_rate * scale
        ids, mask, types = (torch.from_numpy(part).to(self._recipe.device) for part in (batch.ids, batch.mask, batch.types))
        with torch.autocast(self._recipe.device, dtype=torch.bfloat16):
            logits = self._model(ids, mask, types)
        loss = self._loss(logits, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, self._recipe.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    def _seed(self, step: int) -> None:
        """What dropout drops depends on the step alone, so that a resumed run drops the same."""
        if self._recipe.dropout:
            torch.manual_seed(random.Random(f"{self._recipe.seed}:{self._stage.name}:{step}:{self._rank}").getrandbits(62))

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


class _Report:
    """The loss is summed where it is: fetching it at each step would make the processor wait for the GPU."""

    def __init__(self, progress: Progress, stage: str, steps: int, workers: int) -> None:
        self._progress, self._stage, self._steps, self._workers = progress, stage, steps, workers
        self._clear()

    def _clear(self) -> None:
        self._loss: Tensor | float = 0.0
        self._count, self._tokens, self._since = 0, 0, time.monotonic()

    def add(self, loss: Tensor, tokens: int) -> None:
        self._loss = self._loss + loss
        self._count += 1
        self._tokens += tokens

    def report(self, step: int) -> None:
        loss = float(self._loss) / self._count
        rate = self._tokens * self._workers / (time.monotonic() - self._since)
        self._progress(self._stage, step, self._steps, loss, rate)
        self._clear()
