"""Do people stay in control, and are customers told and heard?"""
