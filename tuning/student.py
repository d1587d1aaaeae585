"""The small reader as what is fitted."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from tuning.examples import Epochs, Examples, StageData, Variants
from tuning.losses import SoftLoss, span_loss
from tuning.origin import Origin
from tuning.reader_model import ReaderModel
from tuning.recipe import Recipe, Stage, Teaching
from tuning.soft_labels import label_files, read_labels
from tuning.stage_run import Loss


@dataclass(frozen=True, kw_only=True, slots=True)
class Student:
    origin: Origin
    dropout: float = 0.0
    teaching: Teaching | None = None
    labels: Path | None = None
    """The folder of the teacher's labels, where there is a teacher."""

    def build(self) -> ReaderModel:
        model = self.origin.open(self.dropout)
        model.freeze_embeddings()
        return model

    def epochs(self, recipe: Recipe, stage: Stage, data: StageData) -> Epochs:
        examples = Examples(recipe, stage, data, open_tokenizer(self.origin.base))
        return Variants(examples, stage, self.teaching.variants) if self.teaching else examples

    def loss(self, stage: Stage, device: str) -> Loss:
        if self.teaching is None or self.labels is None:
            return partial(span_loss, shared_weight=stage.shared_weight)
        labels = read_labels(label_files(self.labels, stage.name, self.teaching.variants))
        return SoftLoss(labels, self.teaching.hard_weight, stage.shared_weight, device)


def open_tokenizer(base: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
