"""Training: one way through `keras.Model.fit`, with callbacks, optimizers, schedules and exact resume."""
