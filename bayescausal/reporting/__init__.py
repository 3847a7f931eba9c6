"""Say it: tables, sentences, figures, files.

Nothing here is shown or saved unasked. Figures take matplotlib axes and return them.
"""
