"""Graphs, facts about them, surgery and layout."""
