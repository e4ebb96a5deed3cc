"""Reporting: plots, tables and self-contained HTML pages of runs and studies."""
