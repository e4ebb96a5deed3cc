"""Search of settings: Keras Tuner's oracles propose, every trial is a run in a process of its own."""
