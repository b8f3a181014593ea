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

# TensorProto.DataType, and AttributeProto.AttributeType.
FLOAT, INT64 = 1, 7
_INT, _GRAPH = 2, 5


class Graph:
    """A graph in the making. Inputs are named, all other values are numbered."""

    def __init__(self, *, prefix: str = "") -> None:
        """Begin an empty one; `prefix` sets the names of a graph within a graph apart from those around it."""
        self._prefix = prefix
        self._count = 0
        self._fields: list[bytes] = []

    def input(self, name: str, element: int = FLOAT) -> str:
        """Declare an input of any shape."""
        self._fields.append(write_field(11, _value_info(name, element)))
        return name

    def output(self, *names: str) -> None:
        """Give these values out, in this order; all are float."""
        self._fields += [write_field(12, _value_info(name, FLOAT)) for name in names]

    def constant(self, array: NDArray[np.float32] | NDArray[np.int64] | Sequence[int]) -> str:
        """Add a constant; whole numbers become int64."""
        values = np.ascontiguousarray(array)
        element, layout = (INT64, "<i8") if values.dtype.kind == "i" else (FLOAT, "<f4")
        name = self._name()
        tensor = b"".join(write_field(1, size) for size in values.shape)
        tensor += write_field(2, element) + write_field(8, name) + write_field(9, values.astype(layout).tobytes())
        self._fields.append(write_field(5, tensor))
        return name

    def add(self, operation: str, *inputs: str, **attributes: int | Graph) -> str:
        """Add a node of one output; give its name."""
        [name] = self.add_many(1, operation, *inputs, **attributes)
        return name

    def add_many(self, outputs: int, operation: str, *inputs: str, **attributes: int | Graph) -> list[str]:
        """Add a node of so many outputs; give their names. An input of no name is one left out."""
        names = [self._name() for _ in range(outputs)]
        node = b"".join(write_field(1, name) for name in inputs) + b"".join(write_field(2, name) for name in names)
        node += write_field(4, operation)
        node += b"".join(write_field(5, _attribute(name, value)) for name, value in attributes.items())
        self._fields.append(write_field(1, node))
        return names

    def encode(self) -> bytes:
        """Give the graph as its message."""
        return b"".join(self._fields) + write_field(2, self._prefix or "main")

    def model(self) -> bytes:
        """Give a whole model, as a session takes it."""
        opset = write_field(1, "") + write_field(2, OPSET_VERSION)
        return write_field(1, IR_VERSION) + write_field(8, opset) + write_field(7, self.encode())

    def _name(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"


def read_constants(model: bytes) -> dict[str, bytes]:
    """Give the contents of a model's constant nodes by the names of their outputs, those of inner graphs too.

    Raises ValueError when it is no model.
    """
    found: dict[str, bytes] = {}
    for _, graph in _fields(model, 7):
        _read_graph(graph, found)
    return found


def _read_graph(graph: bytes, found: dict[str, bytes]) -> None:
    for _, node in _fields(graph, 1):
        outputs = [output.decode() for _, output in _fields(node, 2)]
        for _, attribute in _fields(node, 5):
            for number, content in _fields(attribute, 5, 6):
                if number == 6:
                    _read_graph(content, found)
                else:
                    found.update((outputs[0], values) for _, values in _fields(content, 9))


def _fields(message: bytes, *wanted: int) -> list[tuple[int, bytes]]:
    return list(read_fields(io.BytesIO(message), wanted))


def _value_info(name: str, element: int) -> bytes:
    return write_field(1, name) + write_field(2, write_field(1, write_field(1, element)))


def _attribute(name: str, value: int | Graph) -> bytes:
    if isinstance(value, Graph):
        return write_field(1, name) + write_field(6, value.encode()) + write_field(20, _GRAPH)
    return write_field(1, name) + write_field(3, value) + write_field(20, _INT)
