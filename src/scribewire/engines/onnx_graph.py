"""Writes a model in ONNX's format node by node, and reads the constants of one: what rearranging a model takes.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scribewire.engines.protobuf import read_fields, write_field

IR_VERSION: Final = 8
OPSET_VERSION: Final = 16

# Kinds of elements, and of attributes.
FLOAT: Final = 1
INT64: Final = 7
_INT_KIND: Final = 2
_GRAPH_KIND: Final = 5

# Fields of each message.
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSET = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_CONSTANT, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATION, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_KIND = 1, 3, 5, 6, 20
_TENSOR_SIZE, _TENSOR_ELEMENT, _TENSOR_NAME, _TENSOR_CONTENT = 1, 2, 8, 9
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR = 1, 2, 1
_TENSOR_TYPE_ELEMENT, _TENSOR_TYPE_SHAPE, _SHAPE_DIMENSION = 1, 2, 1


class Graph:
    """A graph in the making. Inputs are named, all other values are numbered."""

    def __init__(self, *, prefix: str = "") -> None:
        """Begin an empty one; `prefix` sets the names of a graph within a graph apart from those around it."""
        self._prefix = prefix
        self._count = 0
        self._fields: list[bytes] = []

    def input(self, name: str, *, rank: int, element: int = FLOAT) -> str:
        """Declare an input of so many dimensions of any size."""
        self._fields.append(write_field(_GRAPH_INPUT, _declaration(name, rank, element)))
        return name

    def output(self, *names: str, rank: int) -> None:
        """Give these values out, in this order; all are float and of one rank."""
        self._fields += [write_field(_GRAPH_OUTPUT, _declaration(name, rank, FLOAT)) for name in names]

    def constant(self, array: NDArray[np.float32] | NDArray[np.int64] | Sequence[int]) -> str:
        """Add a constant; whole numbers become int64."""
        values = np.ascontiguousarray(array)
        element, layout = (INT64, "<i8") if values.dtype.kind == "i" else (FLOAT, "<f4")
        name = self._name()
        tensor = b"".join(write_field(_TENSOR_SIZE, size) for size in values.shape)
        tensor += write_field(_TENSOR_ELEMENT, element) + write_field(_TENSOR_NAME, name)
        tensor += write_field(_TENSOR_CONTENT, values.astype(layout).tobytes())
        self._fields.append(write_field(_GRAPH_CONSTANT, tensor))
        return name

    def add(self, operation: str, *inputs: str, **attributes: int | Graph) -> str:
        """Add a node of one output; give its name."""
        [name] = self.add_many(1, operation, *inputs, **attributes)
        return name

    def add_many(self, outputs: int, operation: str, *inputs: str, **attributes: int | Graph) -> list[str]:
        """Add a node of so many outputs; give their names. An input of no name is one left out."""
        names = [self._name() for _ in range(outputs)]
        node = b"".join(write_field(_NODE_INPUT, name) for name in inputs)
        node += b"".join(write_field(_NODE_OUTPUT, name) for name in names) + write_field(_NODE_OPERATION, operation)
        node += b"".join(write_field(_NODE_ATTRIBUTE, _attribute(name, value)) for name, value in attributes.items())
        self._fields.append(write_field(_GRAPH_NODE, node))
        return names

    def encode(self) -> bytes:
        """Give the graph as its message."""
        return b"".join(self._fields) + write_field(_GRAPH_NAME, self._prefix or "main")

    def model(self) -> bytes:
        """Give a whole model, as a session takes it."""
        opset = write_field(_OPSET_DOMAIN, "") + write_field(_OPSET_VERSION, OPSET_VERSION)
        head = write_field(_MODEL_IR, IR_VERSION) + write_field(_MODEL_OPSET, opset)
        return head + write_field(_MODEL_GRAPH, self.encode())

    def _name(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"


def read_constants(model: bytes) -> dict[str, bytes]:
    """Give the contents of a model's constant nodes by the names of their outputs, those of inner graphs too.

    Raises ValueError when it is no model.
    """
    found: dict[str, bytes] = {}
    for _, graph in _fields(model, _MODEL_GRAPH):
        _read_graph(graph, found)
    return found


def _read_graph(graph: bytes, found: dict[str, bytes]) -> None:
    for _, node in _fields(graph, _GRAPH_NODE):
        outputs = [output.decode() for _, output in _fields(node, _NODE_OUTPUT)]
        for _, attribute in _fields(node, _NODE_ATTRIBUTE):
            for field, content in _fields(attribute, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH):
                if field == _ATTRIBUTE_GRAPH:
                    _read_graph(content, found)
                else:
                    found.update((outputs[0], values) for _, values in _fields(content, _TENSOR_CONTENT))


def _fields(message: bytes, *wanted: int) -> list[tuple[int, bytes]]:
    return list(read_fields(io.BytesIO(message), wanted))


def _declaration(name: str, rank: int, element: int) -> bytes:
    sizes = write_field(_SHAPE_DIMENSION, b"") * rank
    tensor = write_field(_TENSOR_TYPE_ELEMENT, element) + write_field(_TENSOR_TYPE_SHAPE, sizes)
    return write_field(_VALUE_NAME, name) + write_field(_VALUE_TYPE, write_field(_TYPE_TENSOR, tensor))


def _attribute(name: str, value: int | Graph) -> bytes:
    if isinstance(value, Graph):
        field, kind = write_field(_ATTRIBUTE_GRAPH, value.encode()), _GRAPH_KIND
    else:
        field, kind = write_field(_ATTRIBUTE_INT, value), _INT_KIND
    return write_field(_ATTRIBUTE_NAME, name) + field + write_field(_ATTRIBUTE_KIND, kind)
