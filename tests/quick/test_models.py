"Model files that somebody else made: what they may cost, and what they may read."
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from kit.models import constant, write_model

from camredact.core import models, segment
from camredact.core.models import load, offers
from camredact.core.segment import MAX_BUDGET, NoWeights


def test_model_of_a_stranger_is_loaded(tmp_path: Path) -> None:
    "Without what the tests below add, it is in order."
    assert load(write_model(tmp_path/"plain.onnx", [constant("number", [0.])], budget=str(MAX_BUDGET))).name == "plain"


@pytest.mark.parametrize("place", ["{there}", "../there/weights.bin", "link.bin"])
def test_model_with_weights_in_another_file_is_refused(tmp_path: Path, place: str) -> None:
    there, here = tmp_path/"there"/"weights.bin", tmp_path/"here"
    for folder in (here, there.parent): folder.mkdir()
    there.write_bytes(np.float32([8]).tobytes())
    (here/"link.bin").symlink_to(there)
    path = write_model(here/"reads.onnx", [constant("number", [0.])])
    model = onnx.load(path)
    number = model.graph.node[1].attribute[0].t
    for name in ("float_data", "raw_data"): number.ClearField(name)
    number.data_location = TensorProto.EXTERNAL
    number.external_data.add(key="location", value=place.format(there=there))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NoWeights, match="keeps weights in another file"): load(path)


def test_learner_that_unpacks_without_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path/"big.pth", "w", zipfile.ZIP_DEFLATED) as box: box.writestr("a/data.pkl", bytes(10**6))
    monkeypatch.setattr(models, "MODEL_BYTES", 10**5)
    assert (tmp_path/"big.pth").stat().st_size < 10**5
    with pytest.raises(NoWeights, match="too large: 100,000 bytes at most, unpacked"): load(tmp_path/"big.pth")


def test_model_file_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path/"big.onnx", [constant("number", [0.])])
    monkeypatch.setattr(segment, "MODEL_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it is read"))
    with pytest.raises(NoWeights, match="too large"): load(path)


def test_model_that_asks_for_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path/"huge.onnx", [constant("number", [0.])], budget=str(MAX_BUDGET + 1))
    with pytest.raises(NoWeights, match="asks for 1048577 pixels, 1,048,576 at most"): load(path)


def test_model_of_another_format_is_refused(tmp_path: Path) -> None:
    "ONNX Runtime's own format has other rules about other files."
    path = tmp_path/"ort.onnx"
    path.write_bytes(b"\x18\0\0\0ORTM" + bytes(100))
    with pytest.raises(NoWeights, match="cannot be read"): load(path)


def test_files_with_the_name_of_another_model_get_a_name_of_their_own() -> None:
    named = offers(["fast", "accurate", "x/fast.onnx", "x/mine.onnx", "y/mine.onnx"])
    assert list(named) == ["fast", "accurate", "fast-2", "mine", "mine-2"] and named["fast"] == "fast"
