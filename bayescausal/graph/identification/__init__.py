"""Is an effect a function of what is measured, and of which?"""
