"""OpenVINO is silent, and its first conversion of an array is over before threads can come to it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONVERTED = """
import builtins, sys
import numpy as np
{load}
seen, real = [], builtins.__import__
def noted(name, *rest, **named):
    seen.append(name)
    return real(name, *rest, **named)
builtins.__import__ = noted
openvino.Tensor(np.zeros((2, 3), dtype=np.int64), shared_memory=True)
print(*seen, sys.modules.get("openvino_telemetry"))
"""
OURS = "from core.openvino import load_openvino; openvino = load_openvino()"
PLAIN = "sys.modules['openvino_telemetry'] = None; import openvino"


def printed(load: str) -> str:
    code = CONVERTED.format(load=load)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_arrays_are_converted_without_looking_numpy_up_again() -> None:
    """Looking it up lets other threads in, and a second one that comes to it then is a deadlock."""
    assert "numpy" in printed(PLAIN)
    assert printed(OURS) == "None"
