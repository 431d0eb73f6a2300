"""May these data be used, and were withdrawal and erasure honoured?"""
