"""Inspection of data sets before and after training: what is wrong with a folder, and which setting mends it."""
