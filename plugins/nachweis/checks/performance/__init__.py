"""Are predictions as good as they were when the model was approved?"""
