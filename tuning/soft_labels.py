"""What a teacher sees in the student's windows: a few likely places for the start and the end, and how likely there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

KEPT = 8
"""Places of a window, of some two hundred; they hold nearly all of what a trained teacher gives out."""

Offsets = list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftLabels:
    """Of shape (windows, 2) for start and end, or (windows, 2, KEPT)."""

    places: NDArray[np.int16]
    """Token indices in the student's window."""
    shares: NDArray[np.float16]
    """How the context's probability falls on them; 1 in all, 0 for places that are not there."""
    absent: NDArray[np.float16]
    """The probability of "not here"."""
    normaliser: NDArray[np.float32]
    """log sum exp of the teacher's logits over the context: windows of one question are compared by it."""

    @classmethod
    def empty(cls, windows: int) -> Self:
        return cls(
            places=np.zeros((windows, 2, KEPT), np.int16),
            shares=np.zeros((windows, 2, KEPT), np.float16),
            absent=np.ones((windows, 2), np.float16),
            normaliser=np.full((windows, 2), -1e4, np.float32),
        )

    def __len__(self) -> int:
        return len(self.absent)

    def put(self, row: int, side: int, mass: NDArray[np.float32], shift: int) -> None:
        """`mass` is a probability for each context token of the student, of which the first is token `shift` of its window."""
        top = np.argsort(-mass, kind="stable")[:KEPT]
        self.places[row, side, : len(top)] = top + shift
        self.shares[row, side, : len(top)] = mass[top] / max(float(mass[top].sum()), 1e-6)


def carry_over(shares: NDArray[np.float32], theirs: Offsets, ours: Offsets, side: int) -> NDArray[np.float32]:
    """Probabilities of the teacher's tokens -> of the student's, by the character that a span starts with or ends with."""
    at = np.array([start if side == 0 else end - 1 for start, end in theirs])
    ends = np.array([end for _, end in ours])
    token = np.minimum(np.searchsorted(ends, at, side="right"), len(ours) - 1)
    return np.bincount(token, weights=shares, minlength=len(ours)).astype(np.float32)


def label_files(folder: Path, stage: str, variants: int) -> list[Path]:
    return [folder / f"{stage}.labels{variant}.npz" for variant in range(variants)]


def write_labels(labels: SoftLabels, file: Path) -> None:
    """All of it or nothing, whenever the process is killed."""
    scratch = file.with_suffix(".tmp")
    with scratch.open("wb") as out:
        np.savez(out, **{field.name: getattr(labels, field.name) for field in fields(labels)})
    scratch.replace(file)


def read_labels(files: Sequence[Path]) -> SoftLabels:
    """Of all variants, one after the other."""
    loaded = []
    for file in files:
        with np.load(file) as arrays:
            loaded.append({field.name: arrays[field.name] for field in fields(SoftLabels)})
    return SoftLabels(**{field.name: np.concatenate([part[field.name] for part in loaded]) for field in fields(SoftLabels)})
