"""Do inputs and outputs keep the distribution of the reference?"""
