"""Partners of one kind and class, found on the device by sorting and searching, without a synchronisation."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def partners_within(
    classes: Int64[Tensor, " rows"],
    left: Int64[Tensor, " m"],
    order: Int64[Tensor, " rows"],
    kind: Int64[Tensor, " rows"],
    wanted: Int64[Tensor, " m"],
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """For each left row a row of its class and of the wanted kind.

    The rows of a kind and class are taken in the random order, the first for the first left row that asks for them and
    so on. So each left row has a partner that is uniform among those that it may have, and no partner is used twice
    before all are used once.

    Args:
        classes: of all rows.
        left: the rows that look for a partner.
        order: a random order of all rows.
        kind: of all rows: 0 for real rows, 1 for fake rows.
        wanted: the kind that each left row looks for.

    Returns:
        The partners, and 1 for each left row that has one; a row without one is its own partner, with 0.
    """
    groups = _dense(classes) * 2  # classes may be any integers; one group a class and kind
    group_of_row, group_wanted = groups + kind, groups.index_select(0, left) + wanted  # (rows,), (M,)
    arranged = order.index_select(0, group_of_row.index_select(0, order).argsort(stable=True))  # (rows,) by group
    sorted_groups = group_of_row.index_select(0, arranged)  # (rows,)
    first = torch.searchsorted(sorted_groups, group_wanted)  # (M,)
    count = torch.searchsorted(sorted_groups, group_wanted, right=True) - first  # (M,)
    place = first + _turn(group_wanted) % count.clamp(min=1)  # (M,)
    found: Bool[Tensor, " m"] = count > 0
    partner = arranged.index_select(0, place.clamp(max=len(order) - 1))  # (M,)
    return torch.where(found, partner, left), found.to(torch.float32)


def _dense(classes: Int64[Tensor, " rows"]) -> Int64[Tensor, " rows"]:
    """Equal numbers for equal classes, from 0, below the number of rows."""
    ordered, back = classes.sort()
    steps = torch.zeros_like(ordered)
    steps[1:] = (ordered[1:] != ordered[:-1]).long()
    return torch.empty_like(classes).index_copy(0, back, steps.cumsum(0))


def _turn(group: Int64[Tensor, " m"]) -> Int64[Tensor, " m"]:
    """How many earlier entries are of the same group."""
    by_group = group.argsort(stable=True)
    ordered = group.index_select(0, by_group)
    rank = torch.arange(len(group), device=group.device) - torch.searchsorted(ordered, ordered)  # (M,)
    return torch.empty_like(rank).index_copy(0, by_group, rank)
