"""How fast the built-in faces are rendered, and rendered, encoded and written.

    python -m benchmarks.faces --images=20000 --size=64

Prints one line of JSON. Nothing is reused: the files go to a temporary directory and XLA's
compilation cache is off, so the build's time includes tracing and compiling.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import jax

from jaxbias import study
from jaxbias.data.faces.attributes import salience
from jaxbias.data.faces.builder import build
from jaxbias.data.faces.render import CHUNK, render
from jaxbias.data.faces.roster import enroll


def time_rendering(data: study.DataSpec, chunks: int) -> dict[str, float]:
    """Seconds to compile, and images per second of rendering once compiled."""
    part = enroll(data)[0]
    keys, labels = part.keys[:CHUNK], part.labels[:CHUNK]
    weights = salience(data.faces)
    start = time.perf_counter()
    jax.block_until_ready(render(keys, labels, weights, data.image_size))
    compiled = time.perf_counter()
    images = [render(keys, labels, weights, data.image_size) for _ in range(chunks)]
    jax.block_until_ready(images)
    return {
        "first_chunk_s": compiled - start,
        "render_images_per_s": chunks * CHUNK / (time.perf_counter() - compiled),
    }


def time_building(data: study.DataSpec, images: int) -> dict[str, float]:
    """Seconds of a whole build and its images per second, compilation included."""
    with tempfile.TemporaryDirectory() as directory:
        start, start_cpu = time.perf_counter(), time.process_time()
        builder = build(data, Path(directory))
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
        size = builder.info.dataset_size
    return {
        "build_s": seconds,
        "build_cpu_s": cpu_seconds,  # Tells a slow program from a busy machine.
        "build_images_per_s": images / seconds,
        "bytes_per_image": size / images,
    }


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    faces = study.FacesSpec(population={"test": arguments.images})
    data = study.DataSpec(image_size=arguments.size, faces=faces)
    building = time_building(data, arguments.images)
    jax.clear_caches()
    rendering = time_rendering(data, chunks=8)
    report = {
        "images": arguments.images,
        "size": arguments.size,
        **{name: round(value, 2) for name, value in (building | rendering).items()},
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "jax": jax.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
