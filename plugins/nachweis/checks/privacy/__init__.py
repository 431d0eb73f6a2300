"""Are people protected: what is held, what leaks, what could be learned about them?"""
