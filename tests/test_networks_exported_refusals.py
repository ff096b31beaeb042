"""What a ``torch.export`` archive must not hold, and must be: nothing of it runs before."""

import contextlib
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export.pt2_archive import constants

from exports import (
    CONSTANTS,
    PROGRAM,
    SAMPLES,
    SIDE,
    WEIGHTS,
    Trap,
    export,
    exportable,
    in_json,
    pickled,
    rewrite,
)
from gradcam.errors import SettingsError
from gradcam.networks import load_exported
from gradcam.networks.pt2_archive import repack
from hand_networks import pictures


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(exportable(), tmp_path_factory.mktemp("exports") / "small.pt2")


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_exported(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"the exported model {path.name} ")
    return message


def _load_with_torch(path: Path) -> None:
    """What happens after a trap has sprung does not matter, torch's own failures included."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        torch.export.load(path)


def test_what_is_pickled_is_refused_and_never_run(archive: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    trap = pickled(Trap(mark))

    def mark_pickled(document: Any) -> None:
        next(iter(document["config"].values()))["use_pickle"] = True

    def opaque(document: Any) -> None:
        document["config"]["scale"] = {
            "path_name": "opaque_obj_0",
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }

    pickles = {
        "a pickled weight": rewrite(
            archive,
            tmp_path / "weight.pt2",
            {WEIGHTS: in_json(mark_pickled), "data/weights/weight_0": lambda _: trap},
        ),
        "a pickled constant": rewrite(
            archive,
            tmp_path / "constant.pt2",
            {CONSTANTS: in_json(mark_pickled), "data/constants/tensor_0": lambda _: trap},
        ),
        "an opaque object": rewrite(
            archive,
            tmp_path / "opaque.pt2",
            {CONSTANTS: in_json(opaque)},
            {"data/constants/opaque_obj_0": pickle.dumps(Trap(mark))},
        ),
        "a state dict of an older version": rewrite(
            archive, tmp_path / "older.pt2", added={"data/weights/model.pt": trap}
        ),
    }
    for kind, path in pickles.items():
        told = refusal(path)
        assert "pickled entry" in told, kind
        assert "export" in told, kind
        assert not mark.exists(), kind
        if kind == "an opaque object" and not hasattr(constants, "OPAQUE_OBJ_FILENAME_PREFIX"):
            continue  # torch 2.11 knows none
        _load_with_torch(path)  # which runs it: so the test is one of something
        assert mark.exists(), kind
        mark.unlink()


def test_sample_inputs_that_torch_would_unpickle_are_never_read(
    archive: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "it-ran"
    spoilt = rewrite(archive, tmp_path / "samples.pt2", {SAMPLES: lambda _: pickled((Trap(mark),))})
    assert load_exported(spoilt)(pictures(1, SIDE)).shape == (1, 5)
    assert not mark.exists()
    _load_with_torch(spoilt)
    assert mark.exists()


def _first_node(document: Any) -> Any:
    return document["graph_module"]["graph"]["nodes"][0]


def _operator(target: str) -> Callable[[Any], None]:
    return lambda document: _first_node(document).update(target=target)


def _size(expression: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]["x"]
        values["sizes"][0]["as_expr"]["expr_str"] = expression

    return change


def _rename(document: Any) -> None:
    document["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = "x, y=print('ran')"


def _nesting(kind: str, context: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        tree = f'[1, {{"type": "{kind}", "context": {context}, "children_spec": []}}]'
        document["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = tree

    return change


def _quoted(document: Any) -> None:
    specifications = document["graph_module"]["signature"]["input_specs"]
    specifications[0]["parameter"]["parameter_name"] = 'a"); print("ran'


CODE: dict[str, tuple[Callable[[Any], None], str]] = {
    "a function for an operator": (_operator("torch.os.system"), "operator 'torch.os.system'"),
    "a function of the operator module": (_operator("_operator.call"), "operator '_operator.call'"),
    "an attribute of an operator": (
        _operator("torch.ops.aten.conv2d.__init__.__globals__"),
        "torch.ops.aten.conv2d.__init__",
    ),
    "an operator on files": (_operator("torch.ops.aten.from_file.default"), "from_file"),
    "a library": (_operator("torch.ops.load_library"), "torch.ops.load_library"),
    "an operator of the user's own": (_operator("torch.ops.mine.conv.default"), "torchvision"),
    "an expression that calls": (_size("__import__('os').system('true')"), "the expression"),
    "an expression with an attribute": (_size("Symbol.__init__"), "the expression"),
    "an expression with a text": (_size("Symbol('s7 or exit()')"), "the expression"),
    "an expression that never ends": (_size("9**9**9**9"), "the expression '9**9**9**9'"),
    "a name with code": (_rename, "the name"),
    "a module's name with code": (_quoted, "the text"),
    "a type of the user's own": (_nesting("mine.Output", "null"), "'mine.Output'"),
    "a type that imports": (
        _nesting("collections.defaultdict", r'"{\"default_factory_module\": \"os\"}"'),
        "collections.defaultdict",
    ),
    "an enumeration that imports": (
        _nesting("builtins.dict", r'"[{\"\\u005f_enum__\": true, \"fqn\": \"os:x\"}]"'),
        "the keys",
    ),
    "a document of nothing": (lambda document: document.clear(), "not a program"),
}


@pytest.mark.parametrize("kind", CODE)
def test_a_program_that_could_run_code_is_refused(archive: Path, tmp_path: Path, kind: str) -> None:
    change, part = CODE[kind]
    path = rewrite(archive, tmp_path / "spoilt.pt2", {PROGRAM: in_json(change)})
    assert part in refusal(path)


def test_guards_are_left_out_because_torch_compiles_them(archive: Path, tmp_path: Path) -> None:
    def guard(document: Any) -> None:
        document["guards_code"] = ["print('ran')"]

    path = rewrite(archive, tmp_path / "guarded.pt2", {PROGRAM: in_json(guard)})
    assert repack(path).data == repack(archive).data


def test_an_entry_twice_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = rewrite(archive, tmp_path / "twice.pt2", added={PROGRAM: b"{}"})
    assert "twice" in refusal(path)


def test_other_files_are_refused(archive: Path, tmp_path: Path) -> None:
    text, cut, other = (tmp_path / name for name in ("text.pt2", "cut.pt2", "other.pt2"))
    text.write_text("no archive")
    cut.write_bytes(archive.read_bytes()[:-3000])
    torch.save({"a": torch.ones(2)}, other)
    for path in (text, cut, other):
        told = refusal(path)
        assert "torch.export" in told or "cannot be read" in told or "'data.pkl'" in told


def test_a_batch_of_fixed_size_is_refused_with_how_to_export(tmp_path: Path) -> None:
    told = refusal(export(exportable(), tmp_path / "static.pt2", batch=1, dynamic=False))
    assert "batches of exactly 1" in told
    assert 'dynamic_shapes=({0: torch.export.Dim("batch")},)' in told


@pytest.mark.parametrize(
    ("switched_on", "named"), [("drop", "dropout"), ("stem.1", "batch_norm"), ("", "batch_norm")]
)
def test_training_mode_is_refused(tmp_path: Path, switched_on: str, named: str) -> None:
    network = exportable()
    network.get_submodule(switched_on).train()
    told = refusal(export(network, tmp_path / "training.pt2"))
    assert "training mode" in told
    assert named in told or "num_batches_tracked" in told


def test_another_input_than_pictures_is_refused(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    path = export(Flat(), tmp_path / "flat.pt2", shape=(7,))
    assert "[N, 3, height, width]" in refusal(path)
