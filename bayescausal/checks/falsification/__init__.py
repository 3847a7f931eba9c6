"""Can the data refute the graph?"""
