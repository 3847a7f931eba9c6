"""Exercises of a teacher's own: what they hide, the file, marks, and the numbers of mistakes."""
