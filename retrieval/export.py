"""A sentence-transformers model -> a folder that OpenVINO and `tokenizers` read without torch. Run once per model."""

import errno
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from core.errors import CorruptModel, StorageFull, UnderstudyError
from core.openvino import load_openvino
from retrieval.int8 import GROUP, compress

_SAMPLES = ["How many days of leave are there?", "Two.", "The quick brown fox jumps over the lazy dog, " * 12]
_BYTES_A_WEIGHT = 4
"""Two in half precision, and not quite two in int8 with its scales."""
_CLOSE = 0.999
"""Cosine below which an export is not the same model; half-precision weights cost less than 1e-5."""
_CLOSE_IN_INT8 = 0.997
"""Cosine below which a model is not served in int8: a variant of MiniLM with .9977 moved SciFact's nDCG@10 by .003, all that is allowed."""


def export(source: str, folder: Path) -> None:
    """Write the model into `folder`, which appears whole or not at all; raises CorruptModel and StorageFull."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scrap = Path(tempfile.mkdtemp(prefix=".export-", dir=folder.parent))
    try:
        with quiet():
            _write(load_sentence_transformer(source), source, scrap)
        if not folder.exists():
            scrap.rename(folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull() from error
        if not folder.exists():  # else another process was first, and its export is as good
            raise
    except UnderstudyError:
        raise
    except Exception as error:  # what a model's own code or its conversion may raise is no closed list
        reason = str(error).strip().partition("\n")[0]
        raise CorruptModel(f"{source!r} cannot be exported ({reason}): set UNDERSTUDY_EMBEDDER__RUNTIME=torch") from error
    finally:
        shutil.rmtree(scrap, ignore_errors=True)


def load_sentence_transformer(source: str) -> SentenceTransformer:
    try:
        return SentenceTransformer(source, device="cpu", local_files_only=Path(source).is_dir()).float().eval()
    except (OSError, ValueError, KeyError) as error:
        raise CorruptModel(f"no sentence-transformers model could be loaded from {source!r}: {error}") from error


def describe(model: SentenceTransformer) -> dict[str, Any]:
    """What serving has to know besides the weights and the tokenizer."""
    prompts = model.prompts or {}
    return {
        "weights": weights_hash(model),
        "dimensions": model.get_embedding_dimension(),
        "window": int(model.max_seq_length or 512),
        "lowercase": bool(getattr(model[0], "do_lower_case", False)),
        "query_prompt": prompts.get("query", ""),
        "document_prompt": next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), ""),
    }


def weights_hash(model: SentenceTransformer) -> str:
    """Of every tensor, the tokenizer and what is done with both: the same model in another file format is the same model."""
    digest = hashlib.sha256(model.tokenizer.backend_tokenizer.to_str().encode())
    digest.update(json.dumps(_recipe(model), sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def _recipe(model: SentenceTransformer) -> list[Any]:
    """What changes the vectors besides the weights: pooling, normalisation, case and prompts."""
    transformer, *others = model
    modules: list[Any] = [(type(module).__name__, getattr(module, "get_config_dict", dict)()) for module in others]
    lowercase = bool(getattr(transformer, "do_lower_case", False))
    return [type(transformer).__name__, *modules, lowercase, model.prompts or {}, model.default_prompt_name]


class _SentenceEncoder(torch.nn.Module):
    """Transformer, pooling and normalisation as the model's modules.json says, as one function of two tensors."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]
        return vectors


def _write(model: SentenceTransformer, source: str, folder: Path) -> None:
    if shutil.disk_usage(folder).free < _BYTES_A_WEIGHT * sum(tensor.numel() for tensor in model.parameters()):
        raise StorageFull()  # OpenVINO would not say that this is why it fails
    openvino = load_openvino()
    encoder = _SentenceEncoder(model)
    inputs = _tokenize(model, _SAMPLES)
    with torch.no_grad():
        graph = openvino.convert_model(encoder, example_input={name: tensor[:2, :9] for name, tensor in inputs.items()})
    graph.reshape({port: openvino.PartialShape([-1, -1]) for port in graph.inputs})
    openvino.save_model(graph, folder / "model.xml", compress_to_fp16=True)
    least = _least_cosine(encoder, inputs, folder / "model.xml")
    if not least >= _CLOSE:
        raise CorruptModel(f"{source!r} changes when it is exported (cosine {least:.4f}): set UNDERSTUDY_EMBEDDER__RUNTIME=torch")
    _write_int8(encoder, inputs, folder)
    model.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    details = describe(model) | {"source": source, "pad_id": int(model.tokenizer.pad_token_id or 0)}
    (folder / "embedder.json").write_text(json.dumps(details, indent=2), encoding="utf-8")


def _tokenize(model: SentenceTransformer, texts: list[str]) -> dict[str, torch.Tensor]:
    features = model.tokenizer(texts, padding=True, truncation=True, max_length=model.max_seq_length, return_tensors="pt")
    return {name: features[name] for name in ("input_ids", "attention_mask")}


def _write_int8(encoder: _SentenceEncoder, inputs: dict[str, torch.Tensor], folder: Path) -> None:
    """Beside the half-precision graph, for the processors that have int8; a model that it would change is served without."""
    openvino = load_openvino()
    graph = openvino.Core().read_model(folder / "model.xml")
    compress(graph)
    openvino.save_model(graph, folder / "int8.xml", compress_to_fp16=False)
    if not _least_cosine(encoder, inputs, folder / "int8.xml") >= _CLOSE_IN_INT8:
        for name in ("int8.xml", "int8.bin"):
            (folder / name).unlink()


def _least_cosine(encoder: _SentenceEncoder, inputs: dict[str, torch.Tensor], graph: Path) -> float:
    """Tracing fixes what a model decides in Python, so the export must prove itself on shapes that it was not traced with."""
    core = load_openvino().Core()
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP})
    exported = compiled([tensor.numpy() for tensor in inputs.values()])[0]
    with torch.no_grad():
        expected = encoder(**inputs).numpy()
    cosines = (exported * expected).sum(1) / (np.linalg.norm(exported, axis=1) * np.linalg.norm(expected, axis=1))
    return float(cosines.min())


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries warn about their own insides while a model is traced; none of it is for our user."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        transformers_logging.set_verbosity(level)
        transformers_logging.enable_progress_bar()
