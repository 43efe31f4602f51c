"""What stands for a failed clip. Whatever it is, failing wins no place.

`exclude`: nothing; a row with failures ranks behind all rows without. `worst`: the worst value that any row
has on that clip, so the row is ranked with it. `truth`: the ground truth's value, for a table that shows what
the system might have reached; the row still ranks behind. Sets (FID, FVD) cannot be given a clip: they
exclude.
"""

from __future__ import annotations

from collections.abc import Mapping

from .ranking import badness, rankable
from .records import GROUND_TRUTH, FailurePolicy, MetricInfo
from .states import Values


def filled(
    states: Mapping[str, Values], systems: frozenset[str], info: MetricInfo, policy: FailurePolicy
) -> dict[str, Values]:
    """Give the failed clips of the systems a value; `states` are those of one metric by row.

    A clip that was given one stays among its row's failures. No value is given to a row that has none of its
    own, for a clip that no other row has, or where no value is better than another.
    """
    if policy == "exclude" or not rankable(info):
        return dict(states)
    stands_in = _worst(states, info) if policy == "worst" else _truth(states)
    return {
        name: _fill(values, stands_in) if name in systems and values.by_case else values
        for name, values in states.items()
    }


def _fill(values: Values, stands_in: Mapping[str, float]) -> Values:
    given = {key: stands_in[key] for key in values.failures if key in stands_in}
    return Values({**values.by_case, **given}, values.failures)


def _worst(states: Mapping[str, Values], info: MetricInfo) -> dict[str, float]:
    """The worst value on each clip."""
    found: dict[str, float] = {}
    for values in states.values():
        for key, value in values.by_case.items():
            if key not in found or badness(info, value) > badness(info, found[key]):
                found[key] = value
    return found


def _truth(states: Mapping[str, Values]) -> Mapping[str, float]:
    return states[GROUND_TRUTH].by_case if GROUND_TRUTH in states else {}


def policy_settings(policy: FailurePolicy) -> dict[str, str]:
    """The policy as a protocol setting of metrics with values per clip; `exclude` goes without saying."""
    return {} if policy == "exclude" else {"on_failure": policy}
