"""Mode collapse of a GAN: a callback that warns when the generator makes few kinds of images."""

import logging

import keras

log = logging.getLogger("kit")

# Made images this much less diverse than real ones, or so few of the classes, are a collapse.
_LEAST_DIVERSITY = 0.4
_LEAST_CLASSES = 0.5
# The first epochs are bad for everyone.
_GRACE = 3


class CollapseWarning(keras.callbacks.Callback):
    """Says while it trains that the generator has collapsed, and what to try.

    It looks at `val_diversity`, the mean distance of made images' features as a share of that of real ones, and
    `val_modes_covered`, the number of classes found. It speaks once for each collapse.

    Args:
        num_classes: Number of classes, or None where there are none.
    """

    def __init__(self, num_classes=None):
        super().__init__()
        self.num_classes = num_classes
        self.is_collapsed = False

    def on_epoch_end(self, epoch, logs=None):
        diversity, found = logs.get("val_diversity", 1.0), logs.get("val_modes_covered")
        was_collapsed, few = self.is_collapsed, []
        if diversity < _LEAST_DIVERSITY:
            few.append(f"its images are {diversity:.0%} as diverse as real ones")
        if found is not None and self.num_classes and found < _LEAST_CLASSES * self.num_classes:
            few.append(f"{found:.0f} of {self.num_classes} classes are among them")
        self.is_collapsed = bool(few) and epoch >= _GRACE
        if self.is_collapsed and not was_collapsed:
            log.warning(
                "epoch %d: the generator has collapsed: %s; try model.backbone=sngan or wgan_gp, a lower "
                "optimizer.discriminator.learning_rate, model.r1=1, or model.augment=translation,cutout on few images",
                epoch + 1,
                " and ".join(few),
            )
