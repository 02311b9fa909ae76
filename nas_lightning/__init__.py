"""Differentiable architecture search for tiny 1-D CNN time-series classifiers."""
