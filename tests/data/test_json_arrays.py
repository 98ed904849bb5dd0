import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.data import json_arrays
from jaxbias.errors import InputError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(values, max_size=4)),
    st.sampled_from([None, 0, 2]),
    st.integers(1, 40),
)
@settings(max_examples=100)
def test_elements_are_those_of_the_whole(tmp_path_factory, content, indent, chunk):
    path = tmp_path_factory.getbasetemp() / "some.json"
    path.write_text(json.dumps({**content, "other": {"x": 1}}, indent=indent), encoding="utf-8")
    before, json_arrays._CHUNK = json_arrays._CHUNK, chunk
    try:
        found = list(json_arrays.elements(path, tuple(content)))
    finally:
        json_arrays._CHUNK = before
    assert found == [(key, value) for key, each in content.items() for value in each]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": [1', '{"a": [1 2]}', '{"a"}', "nonsense", '{"a": ' + "[" * 99_999],
)
def test_what_is_no_object_with_arrays_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        list(json_arrays.elements(path, ("a",)))


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_arrays, "_CHUNK", 2**16)
    path = tmp_path / "x.json"
    element = json.dumps({"segmentation": [list(range(100))]})
    with path.open("w") as file:
        file.write('{"a": [' + element)
        for _ in range(6_000):
            file.write("," + element)
        file.write("]}")
    assert path.stat().st_size > 2 * 2**20
    tracemalloc.start()
    count = sum(1 for _ in json_arrays.elements(path, ("a",)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 6_001
    assert peak < 2**20
