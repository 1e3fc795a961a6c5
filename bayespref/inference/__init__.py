"""Inference: (key, model, comparisons) -> a fit; NUTS, Laplace and SVI are interchangeable downstream."""
