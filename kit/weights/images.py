"""Published weights of vision networks: a folder with their layout, or those of `keras.applications`."""

from kit.weights import keras_applications, published

_PLAIN = 1 / 127.5, -1


def load(backbone, weights):
    """Gives a backbone published weights.

    Args:
        backbone: Headless model; changed in place.
        weights: Folder, `hf:OWNER/NAME`, "imagenet" or a path that `keras.applications` can load; None gives none.

    Returns:
        Scale and offset of each channel: what turns pixels from 0 to 255 into what the weights are used to, or into
        numbers from -1 to 1.

    Raises:
        KitError: weights that do not fit; the message names the tensor.
        SettingError: there are no such weights.
    """
    if weights is None:
        return _PLAIN
    if not published.is_folder(weights):
        return keras_applications.load(backbone, backbone.name, weights)
    published.load(backbone, weights)
    return published.preprocessing(weights)
