from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.openvino import load_openvino
from retrieval.int8 import GROUP, compress, processor_has_int8

openvino = load_openvino()


def product(matrix: NDArray[np.generic]) -> Any:
    """x -> x times the matrix, with a half-precision constant as an export has it."""
    from openvino import opset13 as ops

    x = ops.parameter([-1, matrix.shape[1]], np.float32)
    return openvino.Model([ops.matmul(x, ops.convert(ops.constant(matrix.astype(np.float16)), "f32"), False, True)], [x])


def stored_types(graph: Any) -> set[str]:
    constants = (node for node in graph.get_ops() if node.get_type_name() == "Constant" and node.data.size > GROUP)
    return {constant.get_element_type().get_type_name() for constant in constants}


def test_matrix_is_kept_in_int8_and_multiplies_nearly_the_same() -> None:
    random = np.random.default_rng(3)
    matrix, x = random.normal(size=(8, 4 * GROUP)), random.normal(size=(5, 4 * GROUP)).astype(np.float32)
    graph = product(matrix)
    compress(graph)
    assert stored_types(graph) == {"i8"}
    found = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    assert found == pytest.approx(x @ matrix.T, abs=0.03 * np.sqrt(4 * GROUP))
    assert np.corrcoef(found.ravel(), (x @ matrix.T).ravel())[0, 1] > 0.999


def test_row_of_zeros_stays_zero() -> None:
    graph = product(np.zeros((8, GROUP)))
    compress(graph)
    assert not openvino.Core().compile_model(graph, "CPU")([np.ones((2, GROUP), dtype=np.float32)])[0].any()


def test_matrix_whose_rows_are_no_whole_number_of_groups_stays() -> None:
    graph = product(np.ones((8, GROUP + 4)))
    compress(graph)
    assert stored_types(graph) == {"f16"}


@pytest.mark.parametrize(("flags", "expected"), [
    ("flags\t\t: fpu avx2 avx512f avx512_vnni", True),
    ("flags\t\t: fpu avx2 avx_vnni", True),
    ("flags\t\t: fpu avx2 avx512f", False),
    ("Features\t: fp asimd i8mm bf16", False),
    ("", False),
])  # fmt: skip
def test_int8_is_told_by_the_flags_of_the_processor(tmp_path: Path, flags: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\nbogomips\t: 5200\n")
    assert processor_has_int8(tmp_path / "cpuinfo") is expected


def test_int8_is_not_assumed_where_nothing_tells(tmp_path: Path) -> None:
    assert not processor_has_int8(tmp_path / "missing")
