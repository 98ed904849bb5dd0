"""Your own images: a folder and one table with a file column and label columns.

jaxbias run --config=configs/folder.py --config.data.path=DIR --workdir=OUT \
      --config.targets="('smiling',)" --config.group.column=gender \
      --config.group.values="('woman','man')" --config.group.names="('women','men')"
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "folder"
    config.data.name = "folder"
    config.data.table = "labels.csv"  # Or .tsv, .parquet; paths in `file` are relative to DIR.
    config.data.file_column = "file"
    # Without a split column, shares of all rows, divided by data.seed. With one (a table that has a
    # column 'split' is refused otherwise), name it in data.split_column and say here what becomes
    # of each of its values: {"train": {"pretrain": 0.5, "finetune": 0.5}, "val": {...}, ...}.
    config.data.splits = {
        "all": {"pretrain": 0.4, "finetune": 0.35, "validation": 0.1, "test": 0.15}
    }

    config.targets = ("smiling",)
    config.group.update(column="gender", values=("woman", "man"), names=("women", "men"))
    config.bases.Gendered = {"role": "studied", "target": "gender", "curation": "class_balanced"}
    config.bases.Scratch = {"role": "scratch"}

    # Four stages and a small rate train stably on most photographs of 64².
    config.model.widths = (16, 32, 64, 128)
    config.pretrain.n = 1000
    config.finetune.update(n=(256,), learning_rate=0.01)
    config.curations.correlation.levels = (1, 3, 5, 7, 9)
    return shared.with_arg(config, arg)
