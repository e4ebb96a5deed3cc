"""Tasks: kinds of answer, each with its scores, figures and prediction table."""
