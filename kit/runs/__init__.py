"""Runs: settings, run folder, assembly, training, finished runs, rehearsal."""
