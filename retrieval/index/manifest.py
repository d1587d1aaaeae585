"""What a published version holds, beside it on disk: enough to refuse a wrong or damaged one before it answers anything."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import CorruptIndex
from retrieval.index.scrap import checksum

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
    files: dict[str, tuple[int, int]]
    """Size and CRC-32 of each file, by its path in the shard."""


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


def list_files(shard: Path, *, ignored: frozenset[str]) -> dict[str, tuple[int, int]]:
    found = ((path.relative_to(shard).as_posix(), path) for path in sorted(shard.rglob("*")) if path.is_file())
    return {name: (path.stat().st_size, checksum(path)) for name, path in found if name not in ignored}


def check_files(folder: Path, shard: Path, manifest: Manifest, *, whole: bool) -> None:
    """Raises CorruptIndex. Small files are always read through; large ones only when `whole`, else their size must do."""
    for name, (size, crc) in manifest.files.items():
        path = shard / name
        if not path.is_file() or path.stat().st_size != size:
            raise CorruptIndex(f"{_where(folder)} is damaged: {name!r} is missing or cut. {CorruptIndex.__doc__}")
        if (whole or size <= _CHECKED_AT_OPENING) and checksum(path) != crc:
            raise CorruptIndex(f"{_where(folder)} is damaged: {name!r} has changed. {CorruptIndex.__doc__}")


def _where(folder: Path) -> str:
    return f"the index version {folder.name}"
