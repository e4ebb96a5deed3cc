"""Attribution: what of an input an answer rests on, by the gradients of a Keras model."""
