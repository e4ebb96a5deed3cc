"""Scores: numbers from arrays, for classification, tagging, text, generated and reconstructed images."""
