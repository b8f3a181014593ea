"""What is written is a model, as its own library and its runtime have it; constants are found wherever they stand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from scribewire.engines.onnx_graph import INT64, Graph, read_constants


def cumulative(kernel: np.typing.NDArray[np.float32]) -> bytes:
    """Give a model that multiplies rows by a matrix, each added to what came of the row before it."""
    graph = Graph()
    rows, shape = graph.input("rows", rank=1), graph.input("shape", rank=1, element=INT64)
    start, matrix = graph.input("start", rank=2), graph.constant(kernel)
    step = Graph(prefix="step")
    was, row = step.input("was", rank=2), step.input("row", rank=2)
    now = step.add("Add", was, step.add("MatMul", row, matrix))
    step.output(now, step.add("Identity", now), rank=2)
    shaped = graph.add("Reshape", rows, shape)
    _, sums = graph.add_many(2, "Scan", start, shaped, body=step, num_scan_inputs=1)
    graph.output(graph.add("Reshape", sums, graph.constant([-1, 2])), rank=2)
    return graph.model()


def test_a_model_is_valid_and_computes_what_it_says() -> None:
    kernel = np.array([[1, 2], [3, 4]], np.float32)
    model = cumulative(kernel)

    onnx.checker.check_model(onnx.load_from_string(model))
    session = onnxruntime.InferenceSession(model)
    rows = np.array([1, 0, 0, 1, 1, 1], np.float32)
    [sums] = session.run(None, {"rows": rows, "shape": np.array([3, 1, 2]), "start": np.zeros((1, 2), np.float32)})
    assert sums.tolist() == [[1, 2], [4, 6], [8, 12]]


def test_constants_are_read_by_the_names_of_their_outputs_in_inner_graphs_too() -> None:
    def constant(name: str, *values: float) -> onnx.NodeProto:
        array = onnx.numpy_helper.from_array(np.array(values, np.float32))
        return onnx.helper.make_node("Constant", [], [name], value=array)

    inner = onnx.helper.make_graph([constant("in", 3.0)], "inner", [], [])
    branch = onnx.helper.make_node("If", ["is"], ["out"], then_branch=inner, else_branch=inner)
    model = onnx.helper.make_model(onnx.helper.make_graph([constant("a", 1.0, 2.0), branch], "g", [], []))

    found = {
        name: np.frombuffer(values, "<f4").tolist()
        for name, values in read_constants(model.SerializeToString()).items()
    }
    assert found == {"a": [1.0, 2.0], "in": [3.0]}


@pytest.mark.parametrize("content", [b"", b"\x08\x08"])
def test_a_file_without_a_graph_has_none(content: bytes) -> None:
    assert read_constants(content) == {}


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(ValueError, match="not a whole message"):
        read_constants(b"version https://git-lfs.github.com/spec/v1\n")
