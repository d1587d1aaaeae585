"""What training starts from: an encoder, or a reader that was trained from it before."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from core.errors import InvalidInput
from tuning.reader_model import ReaderModel

FILES = ("reader.xml", "reader.bin", "vectors.safetensors", "tokenizer.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    base: Path
    """The encoder's folder."""
    start: Path | None = None
    """An exported reader's folder."""
    digest: str = ""
    """Of that reader; empty without one."""

    @classmethod
    def of(cls, base: Path, start: Path | None) -> Self:
        """Raises InvalidInput when `start` holds no reader, or one of another base."""
        if start is None:
            return cls(base=base)
        missing = [name for name in FILES if not (start / name).is_file()]
        if missing:
            raise InvalidInput(f"{str(start)!r} is no reader to start from, it has no {missing[0]}: give OUT/reader of a `tune reader` run")
        if (start / "tokenizer.json").read_bytes() != (base / "tokenizer.json").read_bytes():
            raise InvalidInput(f"the reader in {str(start)!r} was trained from another encoder than {base.parent.name!r}")
        digest = sha256(b"".join((start / name).read_bytes() for name in FILES)).hexdigest()
        return cls(base=base, start=start, digest=digest)

    def open(self, dropout: float) -> ReaderModel:
        if self.start is None:
            return ReaderModel(self.base, dropout=dropout)
        from tuning.export import load_reader  # opens more libraries than a worker that starts from the base has use for

        try:
            return load_reader(self.start, self.base, dropout)
        except (RuntimeError, KeyError, OSError) as error:
            raise InvalidInput(f"the reader in {str(self.start)!r} cannot be loaded to start from: {error}") from error

    def told(self, name: str) -> str:
        """For the model card; `name` is the base's."""
        return name if self.start is None else f"{name}, trained on from the reader with the digest {self.digest[:16]}"
