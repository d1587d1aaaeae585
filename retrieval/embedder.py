"""Opens the embedder: finds its model, exports it at first use, and never imports torch afterwards."""

import hashlib
import importlib.util
from pathlib import Path

from core.errors import InvalidSettings, MissingExtra
from core.protocols import Embedder

_FORMAT = 3
"""Of the exported folder: raise it when `retrieval/export.py` writes something else."""


def open_embedder(model: str, runtime: str, cache: Path) -> Embedder:
    """`model` is a folder, the name of a package that carries one, or a name that sentence-transformers knows.

    Raises CorruptModel, MissingExtra and StorageFull.
    """
    source = model_source(model)
    match runtime:
        case "openvino":
            from retrieval.openvino_embedder import OpenVinoEmbedder

            return OpenVinoEmbedder(_exported(source, cache))
        case "torch":
            try:
                from retrieval.torch_embedder import TorchEmbedder
            except ImportError as error:
                raise _no_torch(error) from error

            return TorchEmbedder(source)
        case _:
            raise InvalidSettings(f"there is no runtime {runtime!r}: UNDERSTUDY_EMBEDDER__RUNTIME is openvino or torch")


def model_source(model: str) -> str:
    """The folder of the model where it is on this machine, else its name unchanged."""
    if Path(model, "modules.json").is_file():
        return str(Path(model).resolve())
    package = model.replace("-", "_")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "model"
        if (folder / "modules.json").is_file():
            return str(folder)
    return model


def _exported(source: str, cache: Path) -> Path:
    folder = cache / _cache_key(source)
    if not folder.is_dir():
        try:
            from retrieval.export import export
        except ImportError as error:
            raise _no_torch(error) from error
        export(source, folder)
    return folder


def _cache_key(source: str) -> str:
    """Changes with any file of the folder, without reading the weights: a cold start has no time for that."""
    digest = hashlib.sha256(f"{_FORMAT} {source}".encode())
    if Path(source).is_dir():
        for file in sorted(path for path in Path(source).rglob("*") if path.is_file()):
            status = file.stat()
            digest.update(f"{file.relative_to(source)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _no_torch(error: ImportError) -> MissingExtra:
    return MissingExtra(f"preparing an embedder at its first use needs torch and sentence-transformers ({error}): run `make install`")
