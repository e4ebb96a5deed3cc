"""Makes the fixtures of networks of tables anew: tiny random weights in the published layout, inputs and outputs.

    pip install torch pytorch-tabnet pandas
    python tests/references/make_tabular.py

See `make_text.py`.
"""

from pathlib import Path

import numpy as np
import torch
from pytorch_tabnet.tab_network import TabNet


def tabnet(kind):
    """TabNet of six columns of numbers, of pytorch_tabnet, with its masks and the mean of their negative entropies."""
    model = TabNet(6, 3, n_d=4, n_a=4, n_steps=3, group_attention_matrix=torch.eye(6), mask_type=kind).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if weight.dtype.is_floating_point:
                noise = torch.randn(weight.shape, generator=generator)
                is_scale = name.endswith(("running_var", "bn.weight"))
                weight.copy_(torch.exp(0.3 * noise) if is_scale else 0.5 * noise)
        numbers = torch.randn((9, 6), generator=torch.Generator().manual_seed(1))
        logits, entropy = model(numbers)
        _, masks = model.forward_masks(numbers)
    arrays = {f"weights/{name}": value.numpy() for name, value in model.state_dict().items() if value.dim()}
    arrays |= {"inputs/numbers": numbers.numpy(), "outputs/logits": logits.numpy(), "outputs/entropy": entropy.numpy()}
    arrays |= {f"outputs/mask{step + 1}": mask.numpy() for step, mask in masks.items()}
    path = Path(__file__).with_name(f"tabnet_{kind}.npz")
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    for each in ("sparsemax", "entmax"):
        tabnet(each)
