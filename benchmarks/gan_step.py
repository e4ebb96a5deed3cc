"""Prints images per CPU-second of training a DCGAN with 64 and 32 channels at 28x28, on one thread; see `gan.py`."""

import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

import kit
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.training import fused

_BATCH, _STEPS = 64, 400

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
pixels = np.random.default_rng(0).integers(0, 256, (6400, 28, 28, 1), dtype="uint8")
images = Examples({"image": Dense(pixels)})
optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
model = kit.recipes.image_generator((28, 28, 1), backbone="dcgan", latent_dim=64, optimizer=optimizer)
model.steps_per_execution, model.jit_compile = 20, False
for steps in (20, _STEPS):  # the first ones compile
    start = time.process_time()
    with fused.batch_normalization(model):  # as the kit's own path does
        model.fit(images.stream(_BATCH, 0, 0, steps), steps_per_epoch=steps, shuffle=False, verbose=0)
    seconds = time.process_time() - start
print(_STEPS * _BATCH / seconds)
