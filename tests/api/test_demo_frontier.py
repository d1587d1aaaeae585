"""`make demo-frontier`: every line names the stand-in, and what the user has set reaches nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import ROOT


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_demo_of_the_frontier_labels_every_line_and_asks_the_stand_in_alone(tmp_path: Path) -> None:
    set_by_user = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "of-the-user", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "api.demo_frontier"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | set_by_user, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert "No real model is asked" in lines[0]
    assert all(line.startswith("[stand-in]") for line in lines) and not done.stderr
    assert "tier reader" in done.stdout and "tier claude-haiku-5-5" in done.stdout
    assert "of-the-user" not in done.stdout


@pytest.mark.slow
def test_demo_of_the_frontier_labels_its_errors_too(tmp_path: Path) -> None:
    (tmp_path / ".understudy-demo").write_text("a file where the folder should be", encoding="utf-8")
    command = [sys.executable, "-m", "api.demo_frontier"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and not done.stderr
    assert all(line.startswith("[stand-in]") for line in done.stdout.splitlines())
