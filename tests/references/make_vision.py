"""Makes the fixtures of vision networks anew: tiny random weights in the published layout, inputs and outputs.

    pip install torch transformers efficientnet-lite-pytorch
    python tests/references/make_vision.py

See `make_text.py`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from drawn import drawn
from make_text import randomised, write

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def pictures(size, count=2):
    """Returns random pictures, channels first as torch has them."""
    return torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(1))


def vit():
    """ViT with a class token."""
    model = randomised(transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **_SMALL), False))
    images = pictures(32)
    write("vit", model, {"image": images.permute(0, 2, 3, 1)}, {"sequence": model(images).last_hidden_state})


def swin():
    """Swin in two stages, with shifted windows in each second block of the first."""
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    model = randomised(transformers.SwinModel(config, add_pooling_layer=False))
    images = pictures(32)
    write("swin", model, {"image": images.permute(0, 2, 3, 1)}, {"sequence": model(images).last_hidden_state})


def efficientnet_lite0():
    """EfficientNet-Lite0 at full size; its weights are `drawn` by name and shape, and not in the fixture."""
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0").eval()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = {name: torch.tensor(drawn(name, shape)) for name, shape in shapes.items() if shape}
    model.load_state_dict(weights, strict=False)
    images = pictures(64, 1)
    for module in model.modules():  # the padding of its convolutions is that of 224 pixels
        if hasattr(module, "static_padding"):
            side = {"kernel": module.kernel_size[0], "stride": module.stride[0]}
            module.static_padding = _Same(**side)
    with torch.no_grad():
        features = model.extract_features(images)
    arrays = {
        "inputs/image": images.permute(0, 2, 3, 1).numpy(),
        "outputs/features": features.permute(0, 2, 3, 1).numpy(),
    }
    config = {"model_type": "efficientnet_lite0", "shapes": {name: shape for name, shape in shapes.items() if shape}}
    np.savez_compressed(Path(__file__).with_name("efficientnet_lite0.npz"), config=json.dumps(config), **arrays)


class _Same(torch.nn.Module):
    """Padding that TensorFlow calls "same"."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        sides = []
        for size in (x.shape[-1], x.shape[-2]):
            needed = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            sides += [needed // 2, needed - needed // 2]
        return torch.nn.functional.pad(x, sides)


MAKERS = {maker.__name__: maker for maker in (vit, swin, efficientnet_lite0)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
