"""Writes a dataset as TFDS does: the features of its own builder, with pictures of ours."""

import io
import sys

from PIL import Image

from tests.data.readers.pictures import shade


def prepare(name, directory, parts, example, size=(20, 20), features=None):
    """Prepares `name` in a data directory as ArrayRecord, without downloads and TensorFlow.

    Args:
      name: of TFDS's own builder, or any where `features` are given.
      directory: the data directory.
      parts: split -> the numbers of its pictures.
      example: from a number to the features of the example but 'image'.
      size: of the pictures.
      features: in place of the builder's.
    """
    import tensorflow_datasets as tfds
    from etils import epath

    tfds.disable_progress_bar()
    wanted = features or tfds.builder(name, data_dir=directory / "unused").info.features

    class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("2.1.0")
        code_path = epath.Path(__file__)

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=wanted, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(numbers) for split, numbers in parts.items()}

        def _generate_examples(self, numbers):
            for number in numbers:
                file = io.BytesIO()
                Image.new("RGB", size, (shade(number),) * 3).save(file, "JPEG")
                yield number, {"image": io.BytesIO(file.getvalue()), **example(number)}

    Small.name = name
    Small(data_dir=directory, file_format="array_record").download_and_prepare()
    assert "tensorflow" not in sys.modules
