"""Files of PyTorch: what is read of them, and that its advice to run them never reaches a user."""

import importlib.util
import pickle
import re
import zipfile

import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.weights.files import read_tensors
from jaxbias.weights.pytorch_files import network_of

_ABSENT = importlib.util.find_spec("torch") is None
ALONE = "save the network's state_dict() alone with torch.save"


def needs_torch(test):
    reason = "reads files of PyTorch: install torch"
    return pytest.mark.parity(pytest.mark.skipif(_ABSENT, reason=reason)(test))


def test_a_network_is_found_in_what_scripts_save_around_it(tmp_path):
    state = {"w": 1}
    for content in (
        state,
        {"state_dict": state, "epoch": 3, "args": None},
        {"model": state, "optimizer": {"state": {}}},
        {"epoch": 3, "model": {"net": {"state_dict": state}, "args": None}},
    ):
        found, beside = network_of(tmp_path, content)
        assert found is state
        assert set(beside) <= {"epoch", "args", "optimizer"}
    assert network_of(tmp_path, {"model": state, "lr": 1})[1] == ("lr",)


@pytest.mark.parametrize("names", [("model",), ("state_dict", "net"), ("model", "net", "model")])
def test_a_dict_that_holds_itself_is_refused(tmp_path, names):
    content = {}
    inside = content
    for name in names[:-1]:
        inside[name] = {}
        inside = inside[name]
    inside[names[-1]] = content
    with pytest.raises(InputError, match=re.escape(f"its '{names[-1]}' holds itself; {ALONE}")):
        network_of(tmp_path, content)


def test_wrappers_without_end_end(tmp_path):
    content = {"w": 1}
    for _ in range(5_000):
        content = {"model": content}
    assert network_of(tmp_path, content) == ({"w": 1}, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "holds a list, not a network's state_dict"),
        ({}, "holds an empty dict, not a network's state_dict"),
        ({"model": {}}, "holds an empty dict"),
        ({3: 1}, "3 is no name of a tensor"),
        ({"a": 1, ("b", 0): 1}, "('b', 0) is no name of a tensor"),
        ({"a\nb": 1}, r"'a\nb' is no name of a tensor"),
        ({"\ud800": 1}, r"'\ud800' is no name of a tensor"),
        ({"x" * 10**6: 1}, "is no name of a tensor"),
    ],
)
def test_what_holds_no_network_is_one_line(tmp_path, content, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        network_of(tmp_path, content)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@needs_torch
def test_checkpoints_of_training_scripts_are_opened(tmp_path):
    import torch

    tensors = {"w": torch.ones(2, 3, dtype=torch.bfloat16), "n": torch.tensor(3)}
    content = {"epoch": 4, "state_dict": tensors, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "a.pth.tar")
    for protocol in (2, 3):
        old = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
        torch.save(content, tmp_path / f"old{protocol}.pth", **old)
    for name in ("a.pth.tar", "old2.pth", "old3.pth"):
        got = read_tensors(tmp_path / name)
        assert got.beside == ("epoch", "optimizer")
        np.testing.assert_array_equal(got.arrays["w"], np.ones((2, 3), np.float32))
        assert got.arrays["n"].dtype == np.int64
    for name in ("a.pth.tar", "old2.pth"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(InputError, match="damaged or cut short"):
            read_tensors(path)


@needs_torch
def test_tensors_that_are_views_or_parameters_are_read(tmp_path):
    import torch

    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "turned": base.T,
        "part": base[1:, ::2],
        "spread": torch.ones(1).expand(5, 2),
        "parameter": torch.nn.Parameter(base),
        "half": base.half(),
        "eighth": base.to(torch.float8_e4m3fn),
        "none": torch.zeros(0, 3),
    }
    torch.save(tensors, tmp_path / "w.pt")
    got = read_tensors(tmp_path / "w.pt").arrays
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(got[name], tensor.detach().float().numpy())
        assert got[name].dtype == np.float32


@needs_torch
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, of what it makes here.
def test_tensors_that_are_not_plainly_numbers_in_memory(tmp_path):
    import torch

    dense = torch.eye(3)
    itself = {"a": dense}
    itself["b"] = itself
    cases = [
        (dense.to_sparse(), "the tensor w is sparse; call .to_dense() on it and save again"),
        (dense.to_sparse_csr(), "the tensor w is sparse; call .to_dense()"),
        (
            torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8),
            "the tensor w is quantised; call .dequantize() on it and save again",
        ),
        (torch.empty(3, device="meta"), "the tensor w is without values (of the device 'meta')"),
        (torch.nested.nested_tensor([dense, dense]), "the tensor w is nested; save its parts"),
        (
            torch.ones(1).expand(10**6, 10**6),
            "its tensors would take 3,725.3 GiB, and at most 4 GiB are read; save the network's",
        ),
        (dense.double().expand(2**15, 3, 3), None),
        ({"x": dense}, "'w' is no tensor but a dict: give a network's state_dict"),
        (itself, "'w' is no tensor but a dict: give a network's state_dict"),
        (1, "'w' is no tensor but a int: give a network's state_dict"),
    ]
    for value, said in cases:
        torch.save({"w": value}, tmp_path / "w.pt")
        if said is None:
            assert read_tensors(tmp_path / "w.pt").arrays["w"].shape == tuple(value.shape)
            continue
        with pytest.raises(InputError, match=re.escape(said)) as error:
            read_tensors(tmp_path / "w.pt")
        assert "\n" not in str(error.value)
    looped = {}
    looped["state_dict"] = looped
    torch.save(looped, tmp_path / "w.pt")
    with pytest.raises(InputError, match="its 'state_dict' holds itself"):
        read_tensors(tmp_path / "w.pt")


def archive(path, program):
    """A file in the shape of PyTorch's archives, whose pickle is `program`."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return path


DEEP = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
BYTEARRAY = b"\x80\x02c__builtin__\nbytearray\n\x8a\x06" + (2**46).to_bytes(6, "little") + b"\x85R."


@needs_torch
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (DEEP, "holds a list, not a network's state_dict"),
        (BYTEARRAY, "asks for more memory than there is"),
        (b"\x80\x02h\x05.", "damaged or cut short (KeyError: 5)"),
        (b"\x80\x02", "damaged or cut short (EOFError: "),
        (b"", "damaged or cut short (EOFError: "),
        (b"\x80\x02ccollections\nOrderedDict\nK\x05R.", "damaged or cut short"),
        (
            pickle.dumps({"a": 1}, protocol=4),
            "pickled by another protocol than PyTorch's own (opcode 149)",
        ),
        (
            pickle.dumps({"a": 1}, protocol=0),
            "pickled by another protocol than PyTorch's own (opcode 100)",
        ),
        (b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R.", "holds more than tensors (os.system)"),
        (
            b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x00x\x85R.",
            "holds more than tensors (eval)",
        ),
        (b"\x80\x02c__builtin__\ngetattr\n.", "holds more than tensors"),
    ],
)
def test_programs_that_cannot_be_are_one_line_without_advice(tmp_path, program, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        read_tensors(archive(tmp_path / "w.pt", program))
    assert "\n" not in str(error.value)
    for chained in (error.value.__cause__, error.value.__context__):
        shown = chained is not None and not error.value.__suppress_context__
        assert not (shown and "weights_only" in str(chained))
    assert "weights_only" not in str(error.value)


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's, of what it makes here.
def test_whole_modules_and_programs_are_refused_without_advice(tmp_path):
    import torch

    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"Linear.*state_dict\(\) alone") as error:
        read_tensors(tmp_path / "module.pt")
    assert "weights_only" not in str(error.value)
    assert error.value.__suppress_context__
    torch.save({"args": pickle.PickleBuffer, "state_dict": {}}, tmp_path / "class.pt")
    with pytest.raises(InputError, match="holds more than tensors"):
        read_tensors(tmp_path / "class.pt")
    torch.save({"state_dict": {"w": torch.ones(1)}, "best": np.float64(1)}, tmp_path / "scalar.pt")
    with pytest.raises(InputError, match=r"holds more than tensors \(numpy.*scalar\)"):
        read_tensors(tmp_path / "scalar.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "program.pt")
    with pytest.raises(InputError, match="a TorchScript program, which is run to be read; save"):
        read_tensors(tmp_path / "program.pt")


@needs_torch
def test_sizes_that_only_an_old_file_says_are_refused(tmp_path):
    import torch

    path = tmp_path / "w.pt"
    torch.save({"w": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    count = b"\x8a\x06" + (10**14).to_bytes(6, "little")
    path.write_bytes(path.read_bytes().replace(b"K\x03", count))
    with pytest.raises(
        InputError, match=r"its tensors would take 372,529.0 GiB, and at most 4 GiB"
    ):
        read_tensors(path)
