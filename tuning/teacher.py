"""The larger reader: a decoder of the Llama architecture that reads in both directions, with the same span head."""

from array import array
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from generation.reader.model import MAX_HEADING_TOKENS, MAX_QUESTION_TOKENS
from tuning.examples import Epochs, Examples, Groups, StageData
from tuning.features import Window
from tuning.losses import span_loss
from tuning.recipe import Recipe, Stage
from tuning.soft_labels import Offsets
from tuning.stage_run import Loss
from tuning.student import open_tokenizer
from tuning.teacher_source import TeacherSource

MAX_CONTEXT_TOKENS = 512


class TeacherModel(nn.Module):
    """(windows, tokens) ids -> (windows, tokens, 2) start and end logits; token 0 holds those of "not here".

    The layers are the decoder's own, without its causal mask: a token then sees what follows it, as marking a span needs
    (BehnamGhader et al. 2024, LLM2Vec).
    """

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        config = decoder.config
        self.embed, self.layers, self.norm = decoder.embed_tokens, decoder.layers, decoder.norm
        self.head = nn.Linear(config.hidden_size, 2)
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._theta = float(config.rope_parameters["rope_theta"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """`token_type_ids` tells the student question from context; a decoder has no place for it."""
        hidden = self.embed(input_ids)
        turn = self._turns(input_ids.shape[1], hidden.device)
        seen = attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            hidden = hidden + self._attend(layer.self_attn, layer.input_layernorm(hidden), turn, seen)
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        logits: Tensor = self.head(self.norm(hidden))
        return logits

    def _attend(self, layer: Any, hidden: Tensor, turn: tuple[Tensor, Tensor], seen: Tensor) -> Tensor:
        query = _turned(self._split(layer.q_proj(hidden), self._heads), turn)
        key = _turned(self._split(layer.k_proj(hidden), self._key_heads), turn)
        value = self._split(layer.v_proj(hidden), self._key_heads)
        share = self._heads // self._key_heads
        key, value = key.repeat_interleave(share, 1), value.repeat_interleave(share, 1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        out: Tensor = layer.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, hidden: Tensor, heads: int) -> Tensor:
        return hidden.view(*hidden.shape[:2], heads, self._size).transpose(1, 2)

    def _turns(self, tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rotary positions (Su et al. 2021)."""
        frequency = 1 / self._theta ** (torch.arange(0, self._size, 2, device=device).float() / self._size)
        angle = torch.outer(torch.arange(tokens, device=device).float(), frequency).repeat(1, 2)
        return angle.cos(), angle.sin()


def _turned(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turn
    one, other = heads.float().chunk(2, dim=-1)
    return (heads.float() * cos + torch.cat([-other, one], -1) * sin).to(heads.dtype)


class TeacherWindows:
    """The student's windows in the teacher's own tokens."""

    def __init__(self, tokenizer: Tokenizer, first: int, last: int) -> None:
        self._tokenizer, self._first, self._last = tokenizer, first, last

    def of(self, window: Window) -> Window:
        cut = window.cut
        offsets, ids = self._context(window)
        head = [self._first, *self._ids(cut.question)[:MAX_QUESTION_TOKENS], self._last]
        head += self._ids(cut.title)[:MAX_HEADING_TOKENS]
        start = end = 0
        if cut.span:
            low, high = (place - cut.stretch[0] for place in cut.span)
            inside = [i for i, (a, b) in enumerate(offsets) if b > low and a < high]
            start, end = (inside[0] + len(head), inside[-1] + len(head)) if inside else (0, 0)
        return Window(
            ids=array("i", [*head, *ids, self._last]), context_start=len(head), start=start, end=end, group=window.group, cut=cut,
            row=window.row,
        )  # fmt: skip

    def offsets(self, window: Window) -> Offsets:
        """Of its context tokens, in the stretch of text that it shows."""
        return self._context(window)[0]

    def _context(self, window: Window) -> tuple[Offsets, list[int]]:
        low, high = window.cut.stretch
        text = window.cut.passage.text[low:high]
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return [_trimmed(text, a, b) for a, b in encoding.offsets[:MAX_CONTEXT_TOKENS]], encoding.ids[:MAX_CONTEXT_TOKENS]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A byte-level token carries the space before its word."""
    while start < end - 1 and text[start].isspace():
        start += 1
    return start, end


@dataclass(frozen=True, slots=True)
class _InItsTokens:
    examples: Examples
    windows: TeacherWindows

    def epoch(self, number: int) -> Groups:
        return [[self.windows.of(window) for window in group] for group in self.examples.epoch(number)]


@dataclass(frozen=True, slots=True)
class Teacher:
    """The teacher as what is fitted."""

    source: TeacherSource
    base: Path
    """The student's encoder, whose tokens say how long a window is."""

    def build(self) -> TeacherModel:
        return TeacherModel(self.source.decoder())

    def epochs(self, recipe: Recipe, stage: Stage, data: StageData) -> Epochs:
        return _InItsTokens(Examples(recipe, stage, data, open_tokenizer(self.base)), self.windows())

    def windows(self) -> TeacherWindows:
        return TeacherWindows(*self.source.tokenizer())

    def loss(self, stage: Stage, device: str) -> Loss:
        return partial(span_loss, shared_weight=stage.shared_weight)
