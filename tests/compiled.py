"""What compilers of TPUs say, asked in a process of its own: they read their environment first."""

import dataclasses
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from jaxbias.targets import aim, described


def apart(function, *arguments: Any) -> Any:
    """Returns what a function of a module says in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def brief_analyses(
    name: str, config: str, modes: tuple[str, ...], each: int, network: str = ""
) -> dict[str, Any]:
    """Compiles the finetunes of a config in some modes, so many of them on every chip of a target.

    Args:
      name: of the target.
      config: a file.
      modes: how members are mapped.
      each: members on a chip.
      network: what is finetuned in the place of the config's, as that of imported weights is.

    Returns:
      Mode -> its `Analysis`, compiled briefly, of the program as long as the study has it.
    """
    at = described(name)
    os.environ.update(at.environment)
    aim(at)
    from jaxbias.engine.members import schedule_of
    from jaxbias.engine.memory import device_room
    from jaxbias.engine.programs import training_of
    from jaxbias.engine.unattached import BRIEFLY, UnattachedExecutor
    from jaxbias.models import make_network
    from jaxbias.parallel import make_mesh
    from jaxbias.plan.variants import Recipe
    from jaxbias.study import config_file, make_study

    study = make_study(config_file.load(config))
    recipe, size = Recipe.of(study.finetune), study.data.image_size
    spec = dataclasses.replace(study.model, name=network or study.model.name)
    found = {}
    for mode in modes:
        made = make_network(spec, size, 1, mapped=mode)
        schedule = schedule_of(recipe, "erm", study.finetune.n[0], cells=4)
        images = (2000, size, size, 3)
        program = training_of(made, recipe, schedule, scored=500, images=images, rows=2000)
        executor = UnattachedExecutor(make_mesh(at.chips), mode, device_room(0, at.chips))
        found[mode] = executor.analysis(program, each * at.chips, BRIEFLY)
    return found


def store_sizes(name: str, mode: str, counts: tuple[int, ...]) -> list[tuple[int, int]]:
    """Compiles a finetune of a small network on stores of so many images of 64².

    Returns:
      Of each the bytes of its arguments and of its temporaries on a chip.
    """
    at = described(name)
    os.environ.update(at.environment)
    aim(at)
    from jaxbias.engine.members import schedule_of
    from jaxbias.engine.programs import training_of
    from jaxbias.engine.unattached import BRIEFLY, UnattachedExecutor
    from jaxbias.models import make_network
    from jaxbias.parallel import make_mesh
    from jaxbias.plan.variants import Recipe
    from jaxbias.study import FinetuneSpec, ModelSpec

    network = make_network(ModelSpec(widths=(8,)), 64, 1, mapped=mode)
    recipe = Recipe.of(FinetuneSpec(epochs=1, batch=64))
    schedule = schedule_of(recipe, "erm", 256, cells=4)
    executor, found = UnattachedExecutor(make_mesh(at.chips), mode, None), []
    for count in counts:
        images = (count, 64, 64, 3)
        program = training_of(network, recipe, schedule, scored=128, images=images, rows=count)
        lowered = executor.lowered(program, 2 * at.chips)
        told = lowered.compile({"optimization_level": BRIEFLY}).memory_analysis()
        found.append((told.argument_size_in_bytes, told.temp_size_in_bytes))
    return found


def looped_step(name: str, network: str, lift: str, each: int) -> dict[str, Any]:
    """Compiles a step of pretraining on all chips of a target, briefly, on images of 32².

    Args:
      name: of the target.
      network: what is trained.
      lift: how the step is spread.
      each: images of a chip.

    Returns:
      What is exchanged: names of collectives -> how many, bytes that are added up, their dtypes;
      the bytes of the parameters, and the channels of all norms.
    """
    at = described(name)
    os.environ.update(at.environment)
    aim(at)
    import jax
    import numpy as np

    from jaxbias.engine.instructions import read
    from jaxbias.engine.looped import Looped
    from jaxbias.engine.unattached import BRIEFLY
    from jaxbias.models import make_network
    from jaxbias.parallel import make_data_mesh
    from jaxbias.study import ModelSpec
    from jaxbias.training import Schedule, Step

    model = make_network(ModelSpec(name=network), 32, 1, mapped="loop")
    step = Step(model, Schedule(30000, 1, each * at.chips, 0.9))
    store = (2000, 32, 32, 3)
    looped = Looped(step, make_data_mesh(at.chips), lift, 1, store, False, np.dtype(np.float32))
    text = looped.lowered().compile({"optimization_level": BRIEFLY}).as_text()
    found = read(text)
    shapes = jax.eval_shape(lambda: model.partition(model.init(jax.random.key(0)), "full"))
    norms = [x.size for path, x in shapes.statistics.items() if path[-1] == "var"]
    added = [
        line.partition(" all-reduce")[0] for line in text.splitlines() if " all-reduce" in line
    ]
    return {
        "collectives": found.collectives,
        "exchanged": found.exchanged,
        "dtypes": {dtype for line in added for dtype in re.findall(r"\b([a-z]+\d+)\[", line)},
        "parameters": sum(4 * x.size for x in shapes.trained.values()),
        "channels": sum(norms),
        "norms": len(norms),
    }
