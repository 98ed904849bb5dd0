"""Two processes on 127.0.0.1 pretrain together: the same as one with as many devices."""

import json
import os
import socket

import jax
import numpy as np

from jaxbias.weights import checkpoint
from jaxbias.workdir.results import ResultDirectory
from tests.processes import events, finished, start

_ALONE = """
import sys
import jax; jax.config.update("jax_num_cpu_devices", {devices})
from jaxbias import data
from jaxbias.stages import gang, train
from tests.tiny import tiny_dataset, tiny_study
data.load = lambda spec, check=None: tiny_dataset()
tiny = tiny_study(
    bases={{
        "Grouped": {{"role": "studied", "target": "group", "curation": "class_balanced"}},
        "Self": {{"role": "control", "target": "other", "objective": "simclr"}},
    }},
    pretrain={{"n": 40, "epochs": 6, "batch": 16, "engine": "loop", "save_every": 5}},
    finetune={{"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}},
    grid={{"devices": {devices}}},
)
"""
_TOGETHER = _ALONE + "gang.join()\ngang.pretrain_together(tiny, sys.argv[1])\n"


def run(code, workdir, **variables):
    return start(code, workdir, env={**os.environ, "JAX_PLATFORMS": "cpu", **variables})


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_of_two_devices_are_one_of_four(tmp_path):
    alone = run(
        _ALONE.format(devices=4) + "train.train(tiny, sys.argv[1], 'pretrain')\n",
        tmp_path / "alone",
    )
    address = f"127.0.0.1:{free_port()}"
    together = [
        run(
            _TOGETHER.format(devices=2),
            tmp_path / "together",
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(place),
        )
        for place in range(2)
    ]
    try:
        assert [child.wait(timeout=300) for child in (alone, *together)] == [0, 0, 0]
    finally:
        for child in (alone, *together):
            child.kill()
    ours, theirs = ResultDirectory(tmp_path / "together"), ResultDirectory(tmp_path / "alone")
    bases = [base.id for pack in theirs.plan().bases for base in pack.members]
    assert len(bases) == 2
    for id in bases:
        got, expected = (checkpoint.load_any(x.base_path(id)) for x in (ours, theirs))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, expected)
    assert ours.base_rows(ours.plan()).status.tolist() == ["ok", "ok"]
    done = [finished(told) for told in events(tmp_path / "together").values()]
    assert done == [[pack.id for pack in ours.plan().bases]] * 2
    claims = [json.loads(path.read_text()) for path in (tmp_path / "together/claims").iterdir()]
    assert not any(claim["held"] for claim in claims)
