"""Explanation of a cell's class: heat maps, their faithfulness, and the most similar training cells.

Importing this needs no torch; the methods that do import it when they are opened.
"""

from leukopy.explain.faithfulness import (
    area_under,
    average,
    centre_heat,
    deletion,
    heat_share,
    insertion,
    random_heat,
    rank_correlation,
)
from leukopy.explain.heat import Explainer, Heat, Pictures, to_heat
from leukopy.explain.methods import METHODS, Method, Subject, open_subject, randomised
from leukopy.explain.neighbours import Neighbour, NeighbourIndex, nearest, read_index
from leukopy.explain.test_time_views import of_all_views

__all__ = [
    "METHODS",
    "Explainer",
    "Heat",
    "Method",
    "Neighbour",
    "NeighbourIndex",
    "Pictures",
    "Subject",
    "area_under",
    "average",
    "centre_heat",
    "deletion",
    "heat_share",
    "insertion",
    "nearest",
    "of_all_views",
    "open_subject",
    "random_heat",
    "randomised",
    "rank_correlation",
    "read_index",
    "to_heat",
]
