"""Commands beside running: list and show, export, doctor, flags."""
