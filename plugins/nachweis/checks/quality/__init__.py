"""Is the data what it was declared to be?"""
