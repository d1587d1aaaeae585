"""Matrix weights of an OpenVINO graph in int8, for processors that multiply int8 several times as fast as floats."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 64
"""Numbers that share a scale, of the weights and of what they are multiplied with; larger groups are faster and less exact."""


def compress(graph: Any) -> None:
    """Replace the half-precision matrices of matrix products, in place; those whose rows are no whole number of groups stay."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "MatMul" and node.get_transpose_b():
            matrix = _constant_behind(node.input_value(1).get_node())
            if matrix is not None and matrix.ndim == 2 and matrix.shape[1] % GROUP == 0:
                node.input(1).replace_source_output(_in_groups(matrix.astype(np.float32)).output(0))


def _constant_behind(node: Any) -> NDArray[np.generic] | None:
    """Half-precision constants are converted before they are used."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.data) if node.get_type_name() == "Constant" else None


def _in_groups(matrix: NDArray[np.float32]) -> Any:
    """int8 -> float -> times the scale: OpenVINO keeps the int8 numbers and never computes this product."""
    from openvino import opset13 as ops

    groups = matrix.reshape(matrix.shape[0], -1, GROUP)
    scales = np.maximum(np.abs(groups).max(axis=2, keepdims=True) / 127, np.finfo(np.float32).tiny)
    numbers = ops.convert(ops.constant(np.round(groups / scales).astype(np.int8)), "f32")
    return ops.reshape(ops.multiply(numbers, ops.constant(scales)), ops.constant(np.array(matrix.shape)), special_zero=False)


def processor_has_int8(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether it has VNNI, as far as Linux tells. OpenVINO lists INT8 on every processor, and without VNNI multiplies floats, slowly."""
    try:
        with cpuinfo.open(encoding="utf-8") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "").split()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags
