"""A trained reader -> the files that serve it: an OpenVINO graph, its tokenizer, its settings and their hashes."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from core.openvino import load_openvino
from retrieval.export import quiet
from tuning.reader_model import ReaderModel

MAX_TOKENS = 384


def export_reader(model: ReaderModel, tokenizer: Path, out: Path) -> None:
    """Write `reader.xml`, `reader.bin` (fp16 weights), `tokenizer.json` and `reader.json` into `out`."""
    openvino = load_openvino()
    model.eval()
    example = torch.ones((2, 16), dtype=torch.int64)
    with quiet(), torch.no_grad():
        graph = openvino.convert_model(model, example_input={"input_ids": example, "attention_mask": example, "token_type_ids": example})
    for port, name in zip(graph.inputs, ("input_ids", "attention_mask", "token_type_ids"), strict=True):
        port.get_tensor().set_names({name})
    graph.reshape({port: openvino.PartialShape([-1, -1]) for port in graph.inputs})
    out.mkdir(parents=True, exist_ok=True)
    openvino.save_model(graph, out / "reader.xml", compress_to_fp16=True)
    save_file(_unnamed(model), out / "vectors.safetensors")
    (out / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    config = {"max_tokens": MAX_TOKENS}
    (out / "reader.json").write_text(json.dumps(config, indent=1) + "\n")


def load_reader(folder: Path, base: Path, dropout: float = 0.0) -> ReaderModel:
    """The torch model of an exported reader, its matrices rounded to fp16: what further tuning starts from."""
    openvino = load_openvino()
    model = ReaderModel(base, pretrained=False, dropout=dropout)
    graph = openvino.Core().read_model(folder / "reader.xml")
    constants = {node.get_friendly_name(): node for node in graph.get_ops() if node.get_type_name() == "Constant"}
    weights = load_file(folder / "vectors.safetensors")
    for name in model.state_dict().keys() - weights.keys():
        weights[name] = torch.from_numpy(np.array(constants[f"self.{name}_compressed"].data, dtype=np.float32))
    model.load_state_dict(weights)
    return model


def _unnamed(model: ReaderModel) -> dict[str, torch.Tensor]:
    """Biases and layer norms: the graph folds them into constants without a name."""
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items() if tensor.ndim == 1}


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a model folder but the list of hashes itself."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name != "checksums.json")
    return {f.name: sha256(f.read_bytes()).hexdigest() for f in files}
