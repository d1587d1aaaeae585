"""What a published version holds, beside it on disk: enough to refuse a wrong or damaged one before it answers anything."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import CorruptIndex
from retrieval.index.scrap import Files, checksum

FORMAT = 1
_NAME = "manifest.json"
_CHECKED_AT_OPENING = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    format: int
    embedder: str
    dimensions: int
    chunks: dict[str, int]
    """Per tenant."""
    files: Files
    """Of the shard."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / _NAME).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Raises CorruptIndex where there is none that this version of Understudy understands."""
    try:
        rows = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        manifest = Manifest(**{**rows, "files": {path: (size, crc) for path, (size, crc) in rows["files"].items()}})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptIndex(f"{_where(folder)} is missing or damaged ({error}). {CorruptIndex.__doc__}") from error
    if manifest.format != FORMAT:
        raise CorruptIndex(f"{_where(folder)} has format {manifest.format!r}, not {FORMAT}. {CorruptIndex.__doc__}")
    return manifest


def check_files(folder: Path, shard: Path, manifest: Manifest, *, whole: bool = False) -> None:
    """Raises CorruptIndex. Small files are read through; of large ones the size must do, unless `whole`: the next build reads them all."""
    for name, (size, crc) in manifest.files.items():
        path = shard / name
        if not path.is_file() or path.stat().st_size != size:
            raise _cut(folder, name)
        if (whole or size <= _CHECKED_AT_OPENING) and checksum(path) != crc:
            raise _changed(folder, name)


def check_read(folder: Path, manifest: Manifest, read: Files) -> None:
    """Raises CorruptIndex where what was read from the version is not what was published."""
    for name, (size, crc) in manifest.files.items():
        if name not in read or read[name][0] != size:
            raise _cut(folder, name)
        if read[name][1] != crc:
            raise _changed(folder, name)


def _cut(folder: Path, name: str) -> CorruptIndex:
    return CorruptIndex(f"{_where(folder)} is damaged: {name!r} is missing or cut. {CorruptIndex.__doc__}")


def _changed(folder: Path, name: str) -> CorruptIndex:
    return CorruptIndex(f"{_where(folder)} is damaged: {name!r} has changed. {CorruptIndex.__doc__}")


def _where(folder: Path) -> str:
    return f"the index version {folder.name}"
