"""The code blocks of README.md, CONTRIBUTING.md and docs/ work.

`python` blocks and `sh` blocks are run, those of one page in order and in one folder. There the page finds examples/ and a published index
of six of its documents, so that any page may begin with `understudy ask`. A block opened by ```sh no-run is only shown.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w*)(?P<mark>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
INGESTED = ("company", "operations")


@dataclass(frozen=True, kw_only=True)
class Block:
    page: Path
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", self.code] if self.language == "python" else ["bash", "-euo", "pipefail", "-c", self.code]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page=page, line=text.count("\n", 0, found.start()) + 1, language=found["language"], code=found["code"])
        for found in BLOCK.finditer(text)
        if found["language"] in ("python", "sh") and found["mark"].strip() != "no-run"
    ]


def in_folder(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": scripts, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "examples", folder / "examples")
    done = in_folder(["understudy", "ingest", *(f"examples/corpus/{name}" for name in INGESTED)], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_blocks_of_page_run(page: Path, ingested: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(ingested, tmp_path / "page")
    for block in blocks(page):
        done = in_folder(block.command, folder)
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}\n{block.code}\n{done.stdout}\n{done.stderr}"


def test_blocks_are_found_by_language_and_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nunderstudy status\n```\n\n```sh no-run\nmake demo\n```\n```json\n{}\n```\ntext\n```python\nprint()\n```\n")
    assert [(block.line, block.language, block.code) for block in blocks(page)] == [
        (1, "sh", "understudy status\n"),
        (12, "python", "print()\n"),
    ]


def test_readme_shows_code_that_is_run() -> None:
    assert {block.language for block in blocks(ROOT / "README.md")} == {"sh", "python"}
