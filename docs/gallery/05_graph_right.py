"""A graph from left to right.

With labels of its own; ``positions`` would keep the places of dagitty.
"""

import bayescausal as bc


def figure():
    graph = (
        "season -> humid -> dilution -> coating; humid -> coating; season -> coating"
    )
    labels = {
        "season": "time of year",
        "humid": "humidity (%)",
        "coating": "coating (mm)",
    }
    options = {"treatment": "dilution", "outcome": "coating", "labels": labels}
    return bc.plot_graph(graph, direction="right", **options).figure
