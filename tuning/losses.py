"""What training lowers: the cross-entropy of gold spans, and of the spans that a teacher sees."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tuning.features import Batch
from tuning.soft_labels import SoftLabels

SIDES = (0, 1)
"""Start and end."""


def span_loss(logits: Tensor, batch: Batch, shared_weight: float) -> Tensor:
    """Cross-entropy of start and end in each window ("not here" = token 0), plus `shared_weight` times that of the
    gold token among the context tokens of all windows of a question (Clark & Gardner 2018, shared normalisation)."""
    logits = _allowed(logits, batch)
    groups = _Groups(batch, logits.device)
    loss = logits.new_zeros(())
    for side, gold in zip(SIDES, (batch.start, batch.end), strict=True):
        loss = loss + functional.cross_entropy(logits[..., side], _on(logits, gold))
        if shared_weight:
            loss = loss + shared_weight * _shared(logits[:, 1:, side], gold, groups)
    return loss / 2


def _shared(logits: Tensor, gold: "np.ndarray", groups: "_Groups") -> Tensor:
    answered = np.flatnonzero(gold > 0)  # by numpy: asking a GPU how many there are would wait for it
    if not len(answered):
        return logits.new_zeros(())
    row = _on(logits, answered)
    right = logits[row].gather(1, _on(logits, gold[answered] - 1).unsqueeze(1)).squeeze(1)
    return groups.normaliser(torch.logsumexp(logits, dim=1))[row].sub(right).mean()


class SoftLoss:
    """Cross-entropy with the teacher's distributions over the places of each window, and over the context tokens of all windows of
    a question; a share of `hard_weight` is that of the gold span, where there is a sure one (Hinton et al. 2015)."""

    def __init__(self, labels: SoftLabels, hard_weight: float, shared_weight: float, device: str) -> None:
        self._places = torch.from_numpy(labels.places.astype(np.int64)).to(device)
        self._shares, self._absent, self._normaliser = (
            torch.from_numpy(part.astype(np.float32)).to(device) for part in (labels.shares, labels.absent, labels.normaliser)
        )
        self._hard_weight, self._shared_weight = hard_weight, shared_weight

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        logits = _allowed(logits, batch)
        groups = _Groups(batch, logits.device)
        row = _on(logits, batch.row)
        loss = logits.new_zeros(())
        for side, gold in zip(SIDES, (batch.start, batch.end), strict=True):
            loss = loss + self._each(logits[..., side], _on(logits, gold), _on(logits, batch.sure), row, side)
            loss = loss + self._shared_weight * self._shared(logits[..., side], row, side, groups)
        return loss / 2

    def _each(self, logits: Tensor, gold: Tensor, sure: Tensor, row: Tensor, side: int) -> Tensor:
        logs = torch.log_softmax(logits, dim=1)
        absent = self._absent[row, side]
        seen = (self._shares[row, side] * logs.gather(1, self._places[row, side])).sum(1)
        soft = -(absent * logs[:, 0] + (1 - absent) * seen)
        hard = functional.cross_entropy(logits, gold, reduction="none")
        weight = self._hard_weight * sure.float()
        return (weight * hard + (1 - weight) * soft).mean()

    def _shared(self, logits: Tensor, row: Tensor, side: int, groups: "_Groups") -> Tensor:
        theirs = self._normaliser[row, side]
        share = torch.exp(theirs - groups.normaliser(theirs))  # of the teacher's mass over a question what lies in this window
        ours = groups.normaliser(torch.logsumexp(logits[:, 1:], dim=1))
        seen = (self._shares[row, side] * (logits.gather(1, self._places[row, side]) - ours.unsqueeze(1))).sum(1)
        answered = groups.highest(1 - self._absent[row, side])  # what the teacher holds unanswerable teaches no place
        return -(seen * share * answered).sum() / groups.count


class _Groups:
    """Windows by question."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        names, number = np.unique(batch.group, return_inverse=True)
        self.count = len(names)
        self._of = torch.from_numpy(number).to(device)

    def highest(self, values: Tensor, least: float = 0.0) -> Tensor:
        """Of each window's question."""
        return torch.full((self.count,), least, device=values.device).scatter_reduce(0, self._of, values, "amax")[self._of]

    def normaliser(self, per_window: Tensor) -> Tensor:
        """log sum exp over the windows of each window's question."""
        peak = self.highest(per_window.detach(), -1e9)
        total = torch.zeros(self.count, device=per_window.device).index_add(0, self._of, torch.exp(per_window - peak))
        return torch.log(total)[self._of] + peak


def _allowed(logits: Tensor, batch: Batch) -> Tensor:
    return logits.float().masked_fill(~_on(logits, batch.allowed).unsqueeze(-1), -1e4)


def _on(near: Tensor, values: "np.ndarray") -> Tensor:
    return torch.from_numpy(values).to(near.device)
