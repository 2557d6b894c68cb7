"Model files that somebody made to do harm."
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from camredact.core.categories import CODES


def write_model(
    path: Path,                    # where to
    more: list[onnx.NodeProto],    # nodes before the last
    **notes: str,                  # what the file says of itself
) -> Path:
    "A model whose score is the red channel plus `number`, which one of the nodes gives."
    value, node = helper.make_tensor_value_info, helper.make_node
    nodes = [node("Cast", ["rgb"], ["f"], to=TensorProto.FLOAT), *more,
        node("ReduceMean", ["f"], ["m"], axes=[2], keepdims=0), node("Add", ["m", "number"], ["score"]),
        node("Identity", ["m"], ["confidence"]), node("Identity", ["m"], ["probs"])]
    graph = helper.make_graph(nodes, "made", [value("rgb", TensorProto.UINT8, ["h", "w", 3]),
        value("weights", TensorProto.FLOAT, [32])], [value(n, TensorProto.FLOAT, None)
        for n in ("score", "confidence", "probs")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"codes": ",".join(CODES), **notes})
    onnx.save(model, path)
    return path


def constant(
    name: str,                              # of what it gives
    value: float | bool | int | list,       # what it gives
    kind: int = TensorProto.FLOAT,          # of ONNX
) -> onnx.NodeProto:
    "A node that gives one value."
    values = value if isinstance(value, list) else [value]
    shape = [len(values)] if isinstance(value, list) else []
    return helper.make_node("Constant", [], [name], value=helper.make_tensor(name, kind, shape, values))


def endless_model(
    path: Path,  # where to
) -> Path:
    "A model that never ends."
    value, node = helper.make_tensor_value_info, helper.make_node
    takes = [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [1])]
    gives = [value("go_on", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, [1])]
    body = helper.make_graph([node("Identity", ["go"], ["go_on"]), node("Sin", ["x"], ["y"])], "body", takes, gives)
    return write_model(path, [constant("times", 1 << 62, TensorProto.INT64), constant("true", True, TensorProto.BOOL),
        constant("zero", [0.]), node("Loop", ["times", "true", "zero"], ["number"], body=body)])
