"""The mixing core: interpolate rows of a batch at one layer of a network, and their labels by the same weight.

`Mixed` wraps any network; plans say what to mix and policies draw plans. All public names are also `mmgan`'s.
"""

from mmgan.mixing.inspection import Inspection
from mmgan.mixing.mixed import Mixed
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import PermutationPolicy, RealFakePolicy
from mmgan.mixing.term import MixupTerm
from mmgan.mixing.verdict import Verdict

__all__ = [
    "Inspection",
    "MixPlan",
    "Mixed",
    "MixupTerm",
    "PermutationPolicy",
    "RealFakePolicy",
    "Verdict",
]
