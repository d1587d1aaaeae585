"""The reader as a torch module: an encoder with a span head."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from tuning.features import Batch


class ReaderModel(nn.Module):
    """(windows, tokens) ids -> (windows, tokens, 2) start and end logits; token 0 holds those of "not here"."""

    def __init__(self, base: Path, *, pretrained: bool = True) -> None:
        super().__init__()
        logging.set_verbosity_error()  # the base's pooler is left out on purpose; transformers would warn of it
        # Without dropout: two epochs over 25,000 questions do not overfit 10M weights, and its random numbers cost a tenth of a step.
        options = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        if pretrained:
            self.encoder = AutoModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="sdpa", **options)
        else:
            config = AutoConfig.from_pretrained(base, **options)
            self.encoder = AutoModel.from_config(config, add_pooling_layer=False, attn_implementation="sdpa")
        self.head = nn.Linear(self.encoder.config.hidden_size, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        logits: Tensor = self.head(hidden.last_hidden_state)
        return logits

    def freeze_embeddings(self) -> None:
        """The word vectors stay as they are: half of the weights, and the half that a small set only spoils."""
        for parameter in self.encoder.embeddings.parameters():
            parameter.requires_grad_(False)


def span_loss(logits: Tensor, batch: Batch, shared_weight: float) -> Tensor:
    """Cross-entropy of start and end in each window ("not here" = token 0), plus `shared_weight` times that of the
    gold token among the context tokens of all windows of a question (Clark & Gardner 2018, shared normalisation)."""
    allowed = torch.from_numpy(batch.allowed)
    logits = logits.float().masked_fill(~allowed.unsqueeze(-1), -1e4)
    group = torch.from_numpy(batch.group)
    _, group = torch.unique(group, return_inverse=True)
    loss = logits.new_zeros(())
    for side, gold in ((0, batch.start), (1, batch.end)):
        target = torch.from_numpy(gold)
        loss = loss + functional.cross_entropy(logits[..., side], target)
        if shared_weight:
            loss = loss + shared_weight * _shared(logits[:, 1:, side], target - 1, group)
    return loss / 2


def _shared(logits: Tensor, target: Tensor, group: Tensor) -> Tensor:
    answered = target >= 0
    if not answered.any():
        return logits.new_zeros(())
    per_window = torch.logsumexp(logits, dim=1)
    groups = int(group.max()) + 1
    peak = torch.full((groups,), -1e9).scatter_reduce(0, group, per_window.detach(), "amax")
    total = torch.zeros(groups).index_add(0, group, torch.exp(per_window - peak[group]))
    gold = logits[answered].gather(1, target[answered].unsqueeze(1)).squeeze(1)
    return (torch.log(total) + peak)[group[answered]].sub(gold).mean()
