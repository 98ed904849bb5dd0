"""Independent PyTorch implementations: torchvision's, timm's and transformers' own definitions."""

import numpy as np
import torch

from tests.weights.seeded import seeded_tensor

# Without its compiled extension torchvision only asks that these two operators have a name.
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def build(arch, source, classes, size):
    """A model of PyTorch's with the seeded weights; and its features as a function."""
    model, features = {"torchvision": _torchvision, "timm": _timm, "huggingface": _huggingface}[
        source
    ](arch, classes, size)
    state = {
        name: torch.from_numpy(np.asarray(seeded_tensor(name, tuple(value.shape))))
        if value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval(), features


def _torchvision(arch, classes, size):
    import torchvision

    if arch == "vit_b_16":
        model = torchvision.models.vit_b_16(image_size=size, num_classes=classes)

        def features(x):
            tokens = model._process_input(x)
            first = model.class_token.expand(len(x), -1, -1)
            return model.encoder(torch.cat([first, tokens], dim=1))[:, 0]

        return model, features
    model = getattr(torchvision.models, arch)(num_classes=classes)
    return model, torch.nn.Sequential(*list(model.children())[:-1], torch.nn.Flatten())


def _timm(arch, classes, size):
    import timm

    names = {"vit_ti_16": "vit_tiny", "vit_s_16": "vit_small", "vit_b_16": "vit_base"}
    if arch in names:
        name = f"{names[arch]}_patch16_224"
        model = timm.create_model(name, img_size=size, num_classes=classes)
        return model, lambda x: model.forward_head(model.forward_features(x), pre_logits=True)
    model = timm.create_model(arch, num_classes=classes)
    return model, lambda x: model.forward_head(model.forward_features(x), pre_logits=True)


def _huggingface(arch, classes, size):
    import transformers

    if arch.startswith("vit"):
        width, heads = {"vit_ti_16": (192, 3), "vit_s_16": (384, 6), "vit_b_16": (768, 12)}[arch]
        config = transformers.ViTConfig(
            hidden_size=width,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            image_size=size,
            num_labels=classes,
            layer_norm_eps=1e-6,
        )
        model = transformers.ViTForImageClassification(config)
        return model, lambda x: model.vit(x).last_hidden_state[:, 0]
    depths = {"resnet18": [2, 2, 2, 2], "resnet50": [3, 4, 6, 3]}[arch]
    bottleneck = arch == "resnet50"
    config = transformers.ResNetConfig(
        depths=depths,
        hidden_sizes=[256, 512, 1024, 2048] if bottleneck else [64, 128, 256, 512],
        layer_type="bottleneck" if bottleneck else "basic",
        num_labels=classes,
    )
    model = transformers.ResNetForImageClassification(config)
    return model, lambda x: model.resnet(x).pooler_output.flatten(1)


def inputs(images, preparation, dtype=torch.float32):
    """Images uint8[B, S, S, 3] as PyTorch's preprocessing makes them, [B, 3, S, S]."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).to(dtype) / 255
    mean, std = (
        torch.tensor(v, dtype=dtype).reshape(1, 3, 1, 1)
        for v in (preparation.mean, preparation.std)
    )
    return (x - mean) / std


def logits_of(model, x):
    out = model(x)
    return out if isinstance(out, torch.Tensor) else out.logits
