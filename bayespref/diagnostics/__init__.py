"""Diagnostics: what the data and a fit can and cannot say; they compute and never draw."""
