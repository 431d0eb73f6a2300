"""Checks of attacks: manipulated training data and models, probing, injection, known weaknesses."""
