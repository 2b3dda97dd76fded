"""The shape an ONNX file must have to be packaged: the contract's tensors, and nothing outside the file.

A graph may name other files as its weights ("external data"), by any path; a service that loads it would read them.
"""

from collections.abc import Iterable, Iterator

import onnx
from onnx import TensorProto

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, MODEL, OUTPUT
from contracts.errors import ArtifactInvalid
from contracts.schema import Schema


def check_graph(model: bytes, schema: Schema, name: str = MODEL) -> None:
    """Refuse what could not be served.

    Args:
        model: a serialised ModelProto.
        name: of its file, for what is said.

    Raises:
        ArtifactInvalid: not valid ONNX, external data, or other inputs and outputs than the schema's.
    """
    try:
        proto = onnx.load_model_from_string(model)
        outside = [tensor.name for tensor in _tensors(proto) if tensor.data_location == TensorProto.EXTERNAL]
        if not outside:  # the checker would look for the other file
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise classes without a common base
        raise _invalid(name, f"valid ONNX, got: {error}") from error
    if outside:
        raise _invalid(name, f"one file that holds all weights, got external data for {outside}")
    found = {value.name: _type(value) for value in [*proto.graph.input, *proto.graph.output]}
    needed = {
        INPUT_NUMERIC: (TensorProto.FLOAT, (None, len(schema.numeric))),
        INPUT_CATEGORY: (TensorProto.STRING, (None, len(schema.category))),
        OUTPUT: (TensorProto.FLOAT, (None,)),
    }
    if found != needed:
        raise _invalid(name, f"a graph with the tensors (element type, shape) {needed}, got {found}")


def _type(value: onnx.ValueInfoProto) -> tuple[int, tuple[int | None, ...]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All constants: of the graph, of its nodes' attributes, of graphs within them, of functions."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)


def _invalid(name: str, rule: str) -> ArtifactInvalid:
    return ArtifactInvalid(f"`{name}` must be {rule}; correct the export and run `dvc repro`")
