"""Where a stage stands, on disk."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


class Checkpoints:
    """One file a worker and step. A step counts once every worker has written it: a run killed in between takes the one before."""

    def __init__(self, folder: Path, stage: str, rank: int, workers: int) -> None:
        self._folder, self._stage, self._rank, self._workers = folder, stage, rank, workers

    def keep(self, step: int, state: dict[str, Any]) -> None:
        save_whole(state, self._file(step, self._rank))
        barrier(self._workers)
        self.clear(but=self._file(step, self._rank))

    def clear(self, but: Path | None = None) -> None:
        """Remove this worker's."""
        for old in self._folder.glob(f"{self._stage}.step*.{self._rank}.pt"):
            if old != but:
                old.unlink()

    def newest(self) -> tuple[int, dict[str, Any] | None]:
        """(step, state); 0 and None where there is none."""
        written = {int(f.name.split(".step")[1].split(".")[0]) for f in self._folder.glob(f"{self._stage}.step*.pt")}
        whole = [step for step in written if all(self._file(step, rank).exists() for rank in range(self._workers))]
        if not whole:
            return 0, None
        return max(whole), torch.load(self._file(max(whole), self._rank), map_location="cpu")

    def _file(self, step: int, rank: int) -> Path:
        return self._folder / f"{self._stage}.step{step:06d}.{rank}.pt"


def save_whole(state: dict[str, Any], path: Path) -> None:
    """All of it or nothing, whenever the process is killed."""
    scratch = path.with_suffix(".tmp")
    torch.save(state, scratch)
    scratch.replace(path)


def barrier(workers: int) -> None:
    if workers > 1:
        dist.barrier()
