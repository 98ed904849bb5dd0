"""Packs that are said to have been timed, on a device that nobody has."""

from jaxbias.costs.mode_table import PackTiming, subject_of

DEVICE = "TPU v9"


def timing(program, rate, **changes):
    """Of two devices that trained so many images a second together."""
    name, parameters, size, trains = subject_of(program.model, program.schedule.mode, "sgd")
    known = {
        "device": DEVICE,
        "hardware": "2 × TPU v9",
        "load": None,
        "predicted": False,
        "jax": "0",
        "model": name,
        "parameters": parameters,
        "image_size": size,
        "batch": program.batch,
        "trains": trains,
        "dtype": "float32",
        "width": 8,
        "devices": 2,
        "images_per_second": {"map": rate},
        "compile_seconds": {"map": 1.0},
    }
    return PackTiming(**known | changes)
