"""Keeps libraries from reporting their use to their makers: Understudy makes no request that its user did not ask for."""

import sys
from types import ModuleType
from typing import cast


def silence_openvino() -> None:
    """Call before `import openvino`, which on its own sends an event to a web service at import and at every conversion.

    None in sys.modules makes its reporting package one that cannot be imported; OpenVINO then uses the silent stub it brings along.
    """
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
