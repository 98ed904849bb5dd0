"""Which initialisation hands on how much bias, along correlation levels, as heads on frozen bases?

    jaxbias run --config=configs/initialisations.py --workdir=DIR
    jaxbias run --config=configs/initialisations.py:fairface --config.data.path=PATH --workdir=DIR
    jaxbias run --config=configs/initialisations.py:weights/resnet50,weights/vit --workdir=DIR

Compared are a base supervised on gender, one by SimCLR, a control, fresh networks, and imported
weights: name the directories that `jaxbias weights import` wrote after the colon, between commas.
All layers instead of heads: --config.finetune.mode=full --config.finetune.solver=sgd; of a ViT with
--config.finetune.optimizer=adamw --config.finetune.schedule=cosine --config.finetune.warmup=0.1
--config.finetune.learning_rate=1e-4 --config.finetune.weight_decay=0.05 too.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    words = [word for word in arg.split(",") if word]
    config = default_config()
    config.name = "initialisations"
    if "fairface" in words:
        config.name += "_fairface"
        config.targets = ("forty_or_over",)
        config.group.update(column="gender", values=("Female", "Male"), names=("female", "male"))
        shared.fairface(config)
        config.data.derived = {"forty_or_over": shared.forty_or_over()}
        group, controls, config.finetune.n = "gender", ("race",), (400,)
        amount = {"n": 1700, "epochs": 40}
    else:
        config.targets = ("Bags_Under_Eyes", "Wearing_Earrings")
        shared.drawn_faces(config, config.targets, ("Wearing_Hat",))
        group, controls, config.finetune.n = "Male", ("Wearing_Hat",), (512,)
        amount = {}
    config.bases = shared.gendered_and_controls(group, controls)
    shared.self_supervised(config, group, **amount)
    for word in words:
        if word not in ("smoke", "fairface"):
            name = Path(word).name
            if name in config.bases:
                raise ValueError(f"two bases would be called '{name}'; rename {word}")
            config.bases[name] = ConfigDict({"role": "imported", "weights": word})

    config.finetune.update(mode="head", solver="lbfgs", C=0.01, seeds=5)
    config.curations.correlation.levels = tuple(range(11))
    return shared.with_arg(config, "smoke" if "smoke" in words else "")
