"""The study: defaults, strict fields, and one clear line for everything that is wrong."""

import pytest

from jaxbias import InputError, default_config, make_study
from tests.tiny import tiny_config


def changed(**paths):
    """A tiny config with nested fields set: `finetune__n=3`."""
    config = tiny_config()
    for path, value in paths.items():
        *groups, field = path.split("__")
        node = config
        for group in groups:
            node = node.setdefault(group, {})
        node[field] = value
    return config


def test_defaults_come_from_one_place():
    config = default_config()
    config.targets = ("Smiling",)
    config.bases.Scratch = {"role": "scratch"}
    study = make_study(config)
    assert study.finetune.n == (512,)
    assert make_study({"targets": ["Smiling"], "bases": {"Scratch": {"role": "scratch"}}}) == study


def test_a_study_is_frozen_and_round_trips():
    from jaxbias.study import to_dict

    study = make_study(tiny_config())
    with pytest.raises(AttributeError):
        study.name = "x"
    with pytest.raises(TypeError):
        study.bases["New"] = None
    assert make_study(to_dict(study)) == study


def test_a_config_rejects_fields_it_does_not_have():
    config = default_config()
    with pytest.raises(AttributeError, match=r"epoch"):
        config.finetune.epoch = 3
    config.data.faces.salience.Smiling = 2.0  # Names of the user's own stay open.


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            {"search__criterion": "val_los"},
            r"config\.search\.criterion='val_los' is unknown; did you mean 'val_loss'",
        ),
        ({"search__keep": 1.5}, r"config\.search\.keep=1\.5 must be in 0\.\.1"),
        ({"search__eta": 1}, r"config\.search\.eta=1 must be in 1\.1\.\.100"),
        (
            {"search__first_epochs": 30},
            r"first_epochs=30 is more than .*max_epochs=24",
        ),
        ({"search__learning_rates": (0.1, 0.1)}, r"search\.learning_rates has 0\.1 twice"),
        ({"search__curation": "correlaton 4"}, r"search\.curation: curation 'correlaton 4'"),
        ({"search__curation": "pair_mix 4"}, r"for other tasks; set config\.search\.pair_curation"),
        ({"search__curation": "dfr"}, r"'dfr' is trained otherwise"),
        (
            {"search__pair_curation": "pair_mix 4"},
            r"search\.pair_curation='pair_mix 4' is where pairs are searched, and there are none",
        ),
        (
            {
                "search__learning_rates": (0.1,),
                "finetune__mode": "head",
                "finetune__solver": "lbfgs",
            },
            r"solver='lbfgs' has neither",
        ),
        (
            {"search__learning_rates": (0.1,), "finetune__schedule": "cosine"},
            r"config\.finetune\.schedule='cosine' and warmup=0 a shorter trial is not the",
        ),
        (
            {"search__learning_rates": (0.1,), "experiments__S": ({"warmup": 0.5},)},
            r"S\[0\]: config\.search cuts .* warmup=0\.5 a shorter",
        ),
        (
            {"search__learning_rates": (0.1,), "experiments__S": ({"epochs": 3},)},
            r"S\[0\]: epochs is chosen by config\.search",
        ),
        ({"finetune__epoch": 3}, r"config\.finetune\.epoch: no such field; did you mean 'epochs'"),
        ({"finetun": {}}, r"config\.finetun: no such field; did you mean 'finetune'"),
        ({"finetune__epochs": "three"}, r"config\.finetune\.epochs must be int, got 'three'"),
        ({"finetune__epochs": True}, r"config\.finetune\.epochs must be int"),
        ({"finetune__n": (0,)}, r"config\.finetune\.n\[0\]=0 must be in 1\.\.100,000,000"),
        ({"finetune__n": ()}, r"config\.finetune\.n is empty"),
        ({"targets": ()}, r"config\.targets, pairs, classes and labels are all empty"),
        ({"classes": ("a", "a")}, r"config\.classes has a twice"),
        ({"classes": ("target",)}, r"targets and config\.classes: 'target' is named twice"),
        ({"labels__hair": ("brown",)}, r"config\.labels\.hair has 1 column; labels learnt"),
        ({"labels__hair": ("a", "b", "a")}, r"config\.labels\.hair has a twice"),
        (
            {"targets": (), "classes": ("kind",)},
            r"config\.curations\.correlation is for tasks of config\.targets, and there is none",
        ),
        (
            {"classes": ("kind",), "finetune__mode": "head", "finetune__solver": "lbfgs"},
            r"solver='lbfgs' fits heads of one output, and task 'kind' has several; use 'sgd'",
        ),
        (
            {"classes": ("kind",), "screen__on": True, "screen__solver": "lbfgs"},
            r"config\.screen\.solver='lbfgs' fits heads of one output, and task 'kind'",
        ),
        (
            {
                "classes": ("kind",),
                "search__learning_rates": (0.1,),
                "search__criterion": "val_auc",
            },
            r"criterion='val_auc' is measured of binary tasks, and 'kind' has several outputs",
        ),
        ({"pairs": ("child",)}, r"two columns joined by '\|'"),
        ({"bases": {}}, r"config\.bases is empty"),
        ({"bases__Grouped__role": "studed"}, r"Grouped\.role='studed' is unknown; did you mean"),
        ({"bases__Scratch__target": "x"}, r"config\.bases\.Scratch: a scratch base has no target"),
        ({"bases__Grouped__curation": "equal"}, r"Grouped\.curation: curation 'equal' is unknown"),
        ({"bases__Grouped__curation": "dfr"}, r"curation='dfr' is for finetuning; valid: class_b"),
        (
            {"bases__Grouped__objective": "simcrl"},
            r"objective='simcrl' is unknown; did you mean",
        ),
        ({"bases__Grouped__also": ("group",)}, r"Grouped: target and also name a column twice"),
        ({"bases__Scratch__also": ("group",)}, r"Scratch\.also=\('group',\) is learnt together"),
        ({"bases__Scratch__soft": True}, r"Scratch\.soft is of a target that is learnt by"),
        ({"bases__Scratch__without": ("x=1",)}, r"nothing is pretrained here that could leave"),
        (
            {"bases__Grouped__without": ("Male",)},
            r"Grouped\.without has 'Male'; write who is left out as 'column=value'",
        ),
        ({"bases__Grouped__without": ("x=1", "x=1")}, r"Grouped\.without names a value twice"),
        (
            {"bases__Grouped__objective": "simclr", "pretrain__engine": "packed"},
            r"engine='packed' cannot do config\.bases\.Grouped\.objective='simclr'; set it to",
        ),
        (
            {"pretrain__accumulate": 2, "pretrain__engine": "packed"},
            r"cannot do config\.pretrain\.accumulate=2",
        ),
        (
            {"bases__Grouped__objective": "simclr", "pretrain__accumulate": 2},
            r"accumulate=2 would take the negatives of base 'Grouped'",
        ),
        (
            {"pretrain__lift": "pmp"},
            r"config\.pretrain\.lift='pmp' is unknown; did you mean",
        ),
        ({"group__values": ("a", "a")}, r"config\.group\.values=.* two different"),
        ({"group__values": ("a", "b", "c")}, r"config\.group\.values=.* two different"),
        ({"curations__correlation__levels": (11,)}, r"levels\[0\]=11 must be in 0\.\.10"),
        ({"curations__correlation__prevalence": "half"}, r"'half' must be 'natural' or a share"),
        ({"curations__on_shortage": "ignore"}, r"on_shortage='ignore' is unknown"),
        ({"data__on_bad_image": "skp"}, r"did you mean 'skip'"),
        ({"data__splits": {"train": {"tran": 1.0}}}, r"config\.data\.splits\.train='tran'"),
        ({"data__splits": {"train": {"test": 0.7, "finetune": 0.7}}}, r"adds up to 1\.4"),
        ({"evaluations": {"natural": {}, "two": {"level": 12}}}, r"evaluations\.two\.level=12"),
        ({"answer__population": "nature"}, r"did you mean 'natural'"),
        ({"grid__mode": "pmap"}, r"config\.grid\.mode='pmap' is unknown"),
        ({"answer__confidence": 95.0}, r"config\.answer\.confidence=95\.0"),
        ({"targets": ("target", "target")}, r"config\.targets has target twice"),
        ({"finetune__n": (20, 8, 20)}, r"config\.finetune\.n has 20 twice"),
        ({"curations__correlation__levels": (5, 5)}, r"correlation\.levels has 5 twice"),
        (
            {"curations__add_minority": (0,)},
            r"config\.curations\.add_minority\[0\]=0 must be in 1\.\.",
        ),
        ({"finetune__learning_rate": float("nan")}, r"learning_rate=nan must be in 0\.\.1,000"),
        ({"finetune__learning_rate": float("inf")}, r"learning_rate=inf must be in"),
        ({"pretrain__learning_rate": -0.1}, r"config\.pretrain\.learning_rate=-0\.1 must be in"),
        ({"finetune__weight_decay": -1.0}, r"weight_decay=-1\.0 must be in"),
        ({"finetune__momentum": 2.0}, r"momentum=2\.0 must be in 0\.\.1"),
        ({"pretrain__drop_at": 5.0}, r"drop_at=5\.0 must be in 0\.\.1"),
        ({"finetune__seeds": 10**7}, r"config\.finetune\.seeds=10000000 must be in 1\.\.100,000"),
        (
            {"finetune__seeds": 10**5},
            r"asks for 900,000 variants \(3 bases × 3 curations of all tasks × 1 n × "
            r"config\.finetune\.seeds=100,000\), more than 200,000; lower config\.finetune\.seeds",
        ),
        (
            {
                "finetune__seeds": 10**5,
                "experiments__S": ({"base": "Scratch", "seed": 0}, {"n": 8}),
            },
            r"asks for 900,003 variants \(by config\.experiments",
        ),
        (
            {
                "search__learning_rates": (0.1, 0.2),
                "search__repeats": 1000,
                "finetune__seeds": 1,
                "finetune__n": tuple(range(20, 60)),
            },
            r"config\.search asks for 240,000 trials",
        ),
        (
            {"finetune__dro_step": float("nan")},
            r"config\.finetune\.dro_step=nan must be in 0\.\.10",
        ),
        (
            {"curations__add_minority": (2**63,)},
            r"add_minority\[0\]=9223372036854775808 must be in",
        ),
        (
            {"curations__correlation__prevalence": "١"},
            r"prevalence='١' must be 'natural' or a share",
        ),
        ({"model__widths": (4,) * 17}, r"config\.model\.widths has 17 stages, more than 16"),
        ({"answer__epsilon": float("nan")}, r"config\.answer\.epsilon=nan must be in 0\.\.1"),
        ({"answer__delta": -0.1}, r"config\.answer\.delta=-0\.1 must be in 0\.\.1"),
        ({"answer__replicates": 1}, r"config\.answer\.replicates=1 must be in 2\.\."),
        ({"grid__devices": -1}, r"config\.grid\.devices=-1 must be in 0\.\."),
        ({"data__image_size": 10**7}, r"config\.data\.image_size=10000000 must be in 1\.\.1,024"),
        ({"data__seed": 10**14}, r"config\.data\.seed=100000000000000 must be in 0\.\."),
    ],
)
def test_wrong_settings_name_the_field(paths, message):
    with pytest.raises(InputError, match=message):
        make_study(changed(**paths))
