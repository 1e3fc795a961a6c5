"""Data in and out: tables of answers, and the `xarray.DataTree` form that a fit carries."""
