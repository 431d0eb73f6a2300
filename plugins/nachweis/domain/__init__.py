"""The vocabulary: frozen models and pure functions without input or output."""
