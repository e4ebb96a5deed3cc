"""Data: where examples come from, how they are split, and how they flow into training."""
