"""S7: is a correlation level reached by removing images alone as good as with all of them?

jaxbias run --config=configs/paper/s7.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s7.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's; the bases are those of s6.py. From level 2 (attributes of women) or 8 (of men)
every other level is reached by removal, and all levels are finetuned at the full size beside it.
Hyperparameters are searched once per base, task and n, not at every curation.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper, sweep


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s7", arg)
    config.targets = paper.STUDIED
    config.bases = paper.initialisations(arg)
    if arg != "faces":
        paper.celeba(config)
    config.curations.correlation.levels = paper.LEVELS
    config.finetune.n = (512,) if arg == "faces" else (1024,)
    paper.finish(config, arg)
    (full,), levels = config.finetune.n, config.curations.correlation.levels
    reached = (
        sweep.product(paper.reduction(origin, full, levels), task=task)
        for origin, tasks in ((2, paper.MOSTLY_FEMALE), (8, paper.MOSTLY_MALE))
        for task in tasks
        if task in config.targets
    )
    config.experiments.S7 = sweep.chain(*reached, sweep.product(task=config.targets))
    return config
