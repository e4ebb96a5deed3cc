"""Makes the fixtures of vision networks anew: tiny random weights in the published layout, inputs and outputs.

    pip install torch transformers
    python tests/references/make_vision.py

See `make_text.py`.
"""

import sys

import torch
import transformers
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


MAKERS = {maker.__name__: maker for maker in (vit, swin)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
