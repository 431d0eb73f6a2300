"""The demo world: a generator of synthetic data and the manifests that govern it.

The package never imports it; `python -m demo.generate` writes the data.
"""
