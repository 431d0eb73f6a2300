"""Are groups of customers treated alike under a named definition?"""
