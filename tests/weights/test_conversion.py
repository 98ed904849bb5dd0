"""Every tensor accounted for; the same weights in the dress of every source are the same."""

import re

import jax
import numpy as np
import pytest

from jaxbias.errors import InputError
from jaxbias.weights import convert
from jaxbias.weights.conversion import flat_names
from jaxbias.weights.sources import SOURCES
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.weights.seeded import seeded_arrays

KINDS = {"resnet": "resnet_tiny", "vit": "vit_tiny", "tf_efficientnet_lite": "lite_tiny"}
COUNTER = np.asarray(3, np.int64)


def resnet(classes=3, source="timm", arch="resnet_tiny"):
    return seeded_arrays(arch, source, classes, 32)


def same(a, b, head=True):
    a, b = (flat_names(c.params) for c in (a, b))
    for name in a:
        if head or not name.startswith("head"):
            np.testing.assert_array_equal(a[name], b[name], name)


def test_axes_and_names_of_a_resnet():
    arrays = resnet()
    params = convert(arrays, "resnet_tiny", "timm").params
    conv = params["stages"][1][0]["convs"][0]["kernel"]
    np.testing.assert_array_equal(conv.transpose(3, 2, 0, 1), arrays["layer2.0.conv1.weight"])
    norm = params["stages"][1][0]["shortcut"]["norm"]
    np.testing.assert_array_equal(norm["var"], arrays["layer2.0.downsample.1.running_var"])
    np.testing.assert_array_equal(params["head"]["kernel"], arrays["fc.weight"].T)


def test_moco_simclr_and_places_are_the_same_network_in_other_dress():
    plain = convert(resnet(), "resnet_tiny", "timm")
    body = {name: value for name, value in resnet().items() if not name.startswith("fc.")}
    moco = {
        **{f"module.base_encoder.{name}": value for name, value in body.items()},
        **{f"module.momentum_encoder.{name}": value + 1 for name, value in body.items()},
        "module.base_encoder.bn1.num_batches_tracked": COUNTER,
        "module.base_encoder.fc.0.weight": np.ones((2, 2), np.float32),
        "module.predictor.0.weight": np.ones((2, 2), np.float32),
    }
    got = convert(moco, "resnet_tiny", "mocov3")
    same(plain, got, head=False)
    assert got.classes == 0
    assert not got.params["head"]["kernel"].any()
    assert got.dropped["module.momentum_encoder.conv1.weight"] == "the momentum encoder"
    assert len(got.dropped) + got.mapped == len(moco)
    for prefix in ("encoder.", "module.encoder."):
        simclr = {f"{prefix}{name}": value for name, value in body.items()}
        simclr["projector.0.weight"] = np.ones((2, 2), np.float32)
        got = convert(simclr, "resnet_tiny", "simclr")
        same(plain, got, head=False)
        assert list(got.dropped) == ["projector.0.weight"]
    places = {f"module.{name}": value for name, value in resnet(classes=365).items()}
    got = convert(places, "resnet_tiny", "places365")
    assert got.classes == 365
    same(plain, got, head=False)


def vit(source, arch="vit_tiny", classes=3, size=8):
    return seeded_arrays(arch, source, classes, size)


def test_the_same_vit_of_four_sources():
    """The tensors of timm are turned into the others' by hand."""
    timm = vit("timm")
    expected = convert(timm, "vit_tiny", "timm")
    assert expected.network.image_size == 8
    hub, flax, heads = {}, {}, 2
    for name, value in timm.items():
        if ".attn.qkv." in name:
            i, leaf = name.split(".")[1], name.split(".")[-1]
            for part, chunk in zip(("query", "key", "value"), np.split(value, 3), strict=True):
                hub[f"vit.encoder.layer.{i}.attention.attention.{part}.{leaf}"] = chunk
                place = f"Transformer/encoderblock_{i}/MultiHeadDotProductAttention_1/{part}"
                if leaf == "weight":
                    flax[f"{place}/kernel"] = chunk.T.reshape(8, heads, 4)
                else:
                    flax[f"{place}/bias"] = chunk.reshape(heads, 4)
    hub_rules = {
        "cls_token": "vit.embeddings.cls_token",
        "pos_embed": "vit.embeddings.position_embeddings",
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
        "head": "classifier",
    }
    flax_rules = {
        "norm1": "LayerNorm_0",
        "norm2": "LayerNorm_2",
        "mlp.fc1": "MlpBlock_3/Dense_0",
        "mlp.fc2": "MlpBlock_3/Dense_1",
        "attn.proj": "MultiHeadDotProductAttention_1/out",
    }
    for name, value in timm.items():
        module, leaf = name.rsplit(".", 1) if "." in name else (name, "")
        if "attn.qkv" in name:
            continue
        if name.startswith("blocks."):
            _, i, part = module.split(".", 2)
            hub[f"vit.encoder.layer.{i}.{hub_rules[part]}.{leaf}"] = value
            kind = {"bias": "bias", "weight": "scale" if "norm" in part else "kernel"}[leaf]
            value = value.T if kind == "kernel" else value
            value = value.reshape(heads, 4, 8) if part == "attn.proj" and value.ndim == 2 else value
            flax[f"Transformer/encoderblock_{i}/{flax_rules[part]}/{kind}"] = value
        elif module == "norm":
            hub[f"vit.layernorm.{leaf}"] = value
            flax[f"Transformer/encoder_norm/{'scale' if leaf == 'weight' else leaf}"] = value
        else:
            hub[f"{hub_rules[module]}.{leaf}" if leaf else hub_rules[module]] = value
    hub["vit.pooler.dense.weight"] = np.ones((8, 8), np.float32)
    flax |= {
        "cls": timm["cls_token"],
        "Transformer/posembed_input/pos_embedding": timm["pos_embed"],
        "embedding/kernel": timm["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": timm["patch_embed.proj.bias"],
        "head/kernel": timm["head.weight"].T,
        "head/bias": timm["head.bias"],
    }
    same(expected, convert(hub, "vit_tiny", "huggingface"))
    same(expected, convert(flax, "vit_tiny", "big_vision"))
    # big_vision's own: another spelling, a prefix, the optimiser, no position of the class token.
    respelt = {"opt/count": COUNTER}
    for name, value in flax.items():
        name = name.replace("Transformer/posembed_input/", "").replace("LayerNorm_2", "LayerNorm_1")
        name = name.replace("Product" + "Attention_1", "ProductAttention_0")
        respelt[f"params/{name.replace('MlpBlock_3', 'MlpBlock_0')}"] = value
    respelt["params/pos_embedding"] = respelt["params/pos_embedding"][:, 1:]
    got = convert(respelt, "vit_tiny", "big_vision")
    assert not got.params["positions"][0].any()
    np.testing.assert_array_equal(got.params["positions"][1:], expected.params["positions"][1:])


def respelt(arrays):
    """An EfficientNet-Lite of timm's in the spelling of efficientnet_lite_pytorch, by hand."""
    places = sorted({tuple(map(int, n.split(".")[1:3])) for n in arrays if n.startswith("blocks.")})
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    first = {"conv_dw": "depthwise_conv", "bn1": "bn1", "conv_pw": "project_conv", "bn2": "bn2"}
    inside = {"conv_pw": "expand_conv", "bn1": "bn0", "conv_dw": "depthwise_conv", "bn2": "bn1"}
    inside |= {"conv_pwl": "project_conv", "bn3": "bn2"}
    found = {}
    for name, value in arrays.items():
        *module, leaf = name.split(".")
        if module[0] == "blocks":
            place = tuple(map(int, module[1:3]))
            part = (inside if place[0] else first)[module[3]]
            found[f"_blocks.{places.index(place)}._{part}.{leaf}"] = value
        else:
            found[f"{(outside | {'classifier': '_fc'})[module[0]]}.{leaf}"] = value
    return found


@pytest.mark.parametrize("arch", ["lite_tiny", "tf_efficientnet_lite0", "tf_efficientnet_lite4"])
def test_blocks_numbered_by_stage_or_throughout(arch):
    timm = seeded_arrays(arch, "timm", 3, 32)
    other = respelt(timm)
    assert "_blocks.2._expand_conv.weight" in other
    counted = {**other, "_blocks.0._bn1.num_batches_tracked": COUNTER}
    got = convert(counted, arch, "efficientnet_lite_pytorch")
    same(convert(timm, arch, "timm"), got)
    assert (got.classes, got.mapped) == (3, len(timm))
    del other["_blocks.1._bn0.weight"]
    with pytest.raises(InputError, match=r"1 missing \(blocks.1.0.bn1.weight\)"):
        convert(other, arch, "efficientnet_lite_pytorch")


def test_images_are_of_the_side_that_each_lite_was_trained_on():
    sides = []
    for i in (0, 2, 4):
        got = convert(
            seeded_arrays(arch := f"tf_efficientnet_lite{i}", "timm", 0, 32), arch, "timm"
        )
        sides.append((got.preparation.crop, got.preparation.resize, got.network.image_size))
    assert sides == [(224, 256, 224), (260, 292, 260), (300, 332, 300)]


def test_of_which_networks_a_source_has_lites():
    arrays = seeded_arrays("efficientnet_lite0", "timm", 3, 32)
    with pytest.raises(InputError, match="has no efficientnet_lite0; it has tf_efficientnet_lite0"):
        convert(respelt(arrays), "efficientnet_lite0", "efficientnet_lite_pytorch")


def test_old_and_new_files_of_torchvision_and_transformers():
    new = vit("torchvision", classes=1000)
    old = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): value
        for name, value in new.items()
    }
    assert old.keys() != new.keys()
    same(convert(new, "vit_tiny", "torchvision"), convert(old, "vit_tiny", "torchvision"))
    bare = vit("huggingface")
    renamed = {}
    for name, value in bare.items():
        for part in ("query", "key", "value"):
            name = name.replace(f"attention.attention.{part}", f"attention.{part[0]}_proj")
        name = name.replace("attention.output.dense", "attention.o_proj")
        name = name.replace("intermediate.dense", "mlp.fc1").replace("output.dense", "mlp.fc2")
        renamed["vit." + name.replace("encoder.layer.", "layers.")] = value
    renamed["classifier.weight"] = renamed.pop("vit.classifier.weight")
    renamed["classifier.bias"] = renamed.pop("vit.classifier.bias")
    same(convert(bare, "vit_tiny", "huggingface"), convert(renamed, "vit_tiny", "huggingface"))


def test_half_precision_becomes_float32():
    arrays = {name: value.astype(np.float16) for name, value in resnet().items()}
    params = convert(arrays, "resnet_tiny", "timm").params
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra.weight": np.zeros(1)}, r"1 unknown \(extra.weight\)"),
        ({"bn1.weight": None}, r"1 missing \(bn1.weight\)"),
        ({"bn1.weight": np.zeros(5)}, r"bn1.weight has shape \(5,\), but timm's .* has \(4,\)"),
        ({"bn1.bias": np.full(4, np.nan)}, "bn1.bias holds values that are not finite"),
        ({"bn1.bias": np.full(4, 1e300)}, "bn1.bias holds values that are not finite in float32"),
        ({"bn1.bias": np.ones(4, np.complex64)}, "bn1.bias is of dtype complex64, but weights are"),
        ({"bn1.bias": np.ones(4, np.bool_)}, "bn1.bias is of dtype bool, but weights are real"),
        ({"bn1.bias": np.ones(4, np.int8)}, "dtype int8, .*if they are quantised, save them in"),
        ({"fc.weight": np.ones((3, 9))}, r"fc.weight has shape \(3, 9\), but .* has \(3, 8\)"),
        ({"module.bn1.bias": np.ones(4)}, "the tensor bn1.bias is there twice, with and without"),
    ],
)
def test_what_is_not_accounted_for_is_refused(change, message):
    arrays = {k: v for k, v in {**resnet(), **change}.items() if v is not None}
    with pytest.raises(InputError, match=message):
        convert(arrays, "resnet_tiny", "timm")


def test_wrong_architectures_and_heads_are_refused():
    with pytest.raises(InputError, match=r"no timm's resnet_block: .* missing .* unknown"):
        convert(resnet(), "resnet_block", "timm")
    with pytest.raises(InputError, match=r"without 'base_encoder.'"):
        convert(resnet(source="timm", classes=0), "resnet_tiny", "mocov3")
    with pytest.raises(InputError, match="did you mean 'torchvision'"):
        convert(resnet(), "resnet_tiny", "torchvison")
    with pytest.raises(InputError, match="--source=mocov3 has no vit_tiny; it has resnet18"):
        convert(vit("timm"), "vit_tiny", "mocov3")
    positions = {**vit("timm"), "pos_embed": np.zeros((1, 4, 8), np.float32)}
    with pytest.raises(InputError, match="pos_embed has 4 positions"):
        convert(positions, "vit_tiny", "timm")
    for shape in ((), (8,), (1, 0, 8), (1, 1, 8), (1, 513**2 + 1, 0)):
        positions["pos_embed"] = np.zeros(shape, np.float32)
        with pytest.raises(InputError, match=r"of images of at most 2,048² pixels"):
            convert(positions, "vit_tiny", "timm")


def test_every_source_names_every_tensor_once():
    for source, origin in SOURCES.items():
        for kind, arch in KINDS.items():
            if kind in origin.names:
                size = 32 if kind == "resnet" else 8
                arrays = seeded_arrays(arch, source, 3, size)
                assert len(set(arrays)) == len(arrays)


@pytest.mark.parametrize("source", ["torchvision", "places365", "timm"])
@pytest.mark.parametrize("classes", [1, 7, 1000])
def test_a_head_of_any_number_of_classes_is_read(source, classes):
    got = convert(resnet(classes, source), "resnet_tiny", source)
    assert got.classes == classes
    same(convert(resnet(), "resnet_tiny", "timm"), got, head=False)


@pytest.mark.parametrize("prefix", ["base_encoder.", "encoder."])
def test_a_linear_classifier_on_selfsupervised_features(prefix):
    source = {"base_encoder.": "mocov3", "encoder.": "simclr"}[prefix]
    arrays = {
        name if name.startswith("fc.") else f"{prefix}{name}": value
        for name, value in resnet(5).items()
    }
    got = convert(arrays, "resnet_tiny", source)
    assert got.classes == 5
    same(convert(resnet(5), "resnet_tiny", "timm"), got)


@pytest.mark.parametrize(
    "head",
    [
        {"fc.weight": np.ones((3, 8))},
        {"fc.0.weight": np.ones((5, 8)), "fc.0.bias": np.ones(5), "fc.2.weight": np.ones((3, 5))},
        {"fc.weight_g": np.ones((3, 1)), "fc.weight_v": np.ones((3, 8))},
        {"fc.weight": np.ones((3, 8)), "fc.bias": np.ones(4)},
        {"fc.weight": np.ones((0, 8)), "fc.bias": np.ones(0)},
    ],
)
def test_a_head_of_another_form_is_dropped_with_a_note(head):
    got = convert({**resnet(0), **head}, "resnet_tiny", "timm")
    assert got.classes == 0
    assert not got.params["head"]["kernel"].any()
    note = "a head of another form than one linear layer: every finetune has its own"
    assert got.dropped == dict.fromkeys(head, note)
    same(convert(resnet(), "resnet_tiny", "timm"), got, head=False)


WRAPPERS = ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.module."]
DRESSED = [
    (arch, source)
    for source, origin in SOURCES.items()
    for kind, arch in KINDS.items()
    if kind in origin.names and source != "jaxbias"
]


@pytest.mark.parametrize(("arch", "source"), DRESSED)
def test_what_pytorch_wraps_around_a_module_is_stripped_whatever_the_source(arch, source):
    inside = {"mocov3": "base_encoder.", "simclr": "encoder."}.get(source, "")
    arrays = seeded_arrays(arch, source, 0 if inside else 3, 32 if arch == "resnet_tiny" else 8)
    plain = {f"{inside}{name}": value for name, value in arrays.items()}
    expected, dropped = SOURCES[source].clean(plain)
    assert len(expected) == len(plain)
    for wrapper in WRAPPERS:
        got, _ = SOURCES[source].clean({f"{wrapper}{n}": value for n, value in plain.items()})
        assert got.keys() == expected.keys()
    assert not dropped
    dressed = {f"module._orig_mod.{name}": value for name, value in plain.items()}
    same(convert(plain, arch, source), convert(dressed, arch, source))


def test_wrappers_inside_a_network_and_of_averages():
    """Of an encoder that was compiled or spread alone; of torch.optim.swa_utils.AveragedModel."""
    arrays = {
        re.sub(r"^(layer2)\.", r"\1._orig_mod.", name): value for name, value in resnet().items()
    }
    averaged = {f"module.{name}": value for name, value in arrays.items()} | {"n_averaged": COUNTER}
    got = convert(averaged, "resnet_tiny", "timm")
    assert got.dropped == {"n_averaged": "a counter of steps, which is not used"}
    same(convert(resnet(), "resnet_tiny", "timm"), got)
    inside = {f"encoder.module.{name}": value for name, value in resnet(0).items()}
    same(convert(resnet(0), "resnet_tiny", "timm"), convert(inside, "resnet_tiny", "simclr"))


def test_one_tensor_in_two_spellings_is_refused():
    arrays = vit("torchvision", classes=5)
    arrays["encoder.layers.encoder_layer_0.mlp.linear_1.bias"] = np.ones(32, np.float32)
    with pytest.raises(InputError, match=r"the tensor encoder.*mlp.0.bias is there twice"):
        convert(arrays, "vit_tiny", "torchvision")
