"""The reader as a torch module: an encoder with a span head."""

from pathlib import Path

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging


class ReaderModel(nn.Module):
    """(windows, tokens) ids -> (windows, tokens, 2) start and end logits; token 0 holds those of "not here"."""

    def __init__(self, base: Path, *, pretrained: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        logging.set_verbosity_error()  # the base's pooler is left out on purpose; transformers would warn of it
        # Two epochs over 25,000 questions do not overfit 10M weights, and dropout's random numbers cost a tenth of a step on a processor.
        options = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
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
