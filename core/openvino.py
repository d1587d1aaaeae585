"""OpenVINO as all of us load it: it reports nothing to anybody, and several threads may use it from the first call on."""

import sys
from threading import Lock
from types import ModuleType
from typing import Any, cast

import numpy as np

_FIRST = Lock()


def load_openvino() -> Any:
    """The package, in place of `import openvino`.

    None in sys.modules makes its reporting package, which sends an event at every import and conversion, one that cannot be
    imported; OpenVINO then uses the silent stub it brings along. One array is handed over here: its first conversion looks numpy
    up under a lock of its own, and two threads that come to that at once wait for each other for ever, one with Python's lock
    and one with that.
    """
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    with _FIRST:
        import openvino

        openvino.Tensor(np.zeros(1, dtype=np.float32))
    return openvino
