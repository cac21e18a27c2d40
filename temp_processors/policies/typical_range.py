"""The tokens that transformers' `TypicalLogitsWarper` keeps, on the CPU without sorting the vocabulary.

The surprisal of a token is ln Z - g with g = l - max and Z the sum of exp(g), the entropy ln Z - m with m the mean of g under p: how
typical a token is, | surprisal - entropy |, is its distance | g - m |. The mass of the more typical ones follows from a histogram of
the distances, summed in float64, and the order of the few tokens where it reaches `mass`.

Transformers adds float32 probabilities up in the order of float32 distances. Both round, so that a row is certain where

- the sums before and after the tokens of the boundary are further from `mass` than [`nucleus.rounding`] can move one: in
  this order the most probable tokens come first, and take part in all additions, one for each lane and token;
- no token of another score is as far from m as they are, up to 2^-20 of the numbers of which the distance is made.

Equal scores are equally typical there as here, and stay or go together. What is not certain is left to the sums of transformers
(typical.py), which need the order of all tokens: the bound is 6e-4 for 151,936 entries, more than the probability of nearly every
token of a flat row. Of the distributions of a language model of 135 M parameters over 49,152 tokens, 63 % are certain for a mass of 0.9.
"""

from __future__ import annotations

import numpy as np

from temp_processors.policies.blocks import Rows, dot
from temp_processors.policies.nucleus import PIECE, REACH, bins_per_nat, rounding
from temp_processors.policies.thresholds import packed

NEAR = 2.0**-20
"""How far apart two distances are that rounding can exchange, as a share of the numbers of which they are made."""


def typical_range(rows: Rows, mass: float) -> Rows:
    """The lowest and the highest score that is kept, and whether that is certain, 1 or 0: (rows, 3), in float64.

    The lowest is nan where all are kept, and the highest inf where there is none.

    Args:
        rows: float32, (rows, vocab). One of -inf, or with inf or NaN, has no probabilities, and keeps all.
        mass: In (0, 1).
    """
    top = rows.max(axis=-1, keepdims=True)
    finite = np.isfinite(top[:, 0])
    if not finite.all():
        found = np.full((len(rows), 3), (np.nan, np.nan, 1.0))
        if finite.any():
            found[finite] = typical_range(rows[finite], mass)
        return found
    gap = rows - top
    weight = np.exp(gap)
    whole, tilt = dot(weight), dot(weight, gap)
    if not np.isfinite(tilt).all():
        tilt = dot(weight, np.maximum(gap, np.float32(-800.0)))
    centre = (tilt / whole).astype(np.float32)[:, None]
    distance = np.abs(np.subtract(gap, centre, out=gap), out=gap)
    bins, sums = _histogram(distance, weight)
    wanted, each = whole * mass, np.arange(len(rows))
    which = np.minimum((sums < wanted[:, None]).sum(axis=-1), sums.shape[1] - 1)
    before = np.where(which > 0, sums[each, which - 1], 0.0)
    return _around(rows, bins == which.astype(np.int16)[:, None], top, centre, before, wanted)


def _histogram(distance: Rows, weight: Rows) -> tuple[Rows, Rows]:
    """The bin of each distance, int16 (rows, vocab), and the sums of the weights up to each bin, float64 (rows, bins).

    Piece by piece, so that what is made on the way stays in the cache.
    """
    fine = bins_per_nat(distance.shape[-1])
    bins, sums = np.empty(distance.shape, dtype=np.int16), np.zeros((len(distance), fine * REACH))
    width = distance.shape[-1] if len(distance) > 1 else PIECE
    offset = np.arange(0, sums.size, sums.shape[1], dtype=np.float32)[:, None]
    for begin in range(0, distance.shape[-1], width):
        scaled = distance[:, begin : begin + width] * np.float32(fine)
        np.minimum(scaled, np.float32(sums.shape[1] - 1), out=scaled)
        np.floor(scaled, out=scaled)
        bins[:, begin : begin + width] = scaled
        places = np.add(scaled, offset, out=scaled).astype(np.int32)
        part = np.bincount(places.ravel(), weights=weight[:, begin : begin + width].ravel(), minlength=sums.size)
        sums += part.reshape(sums.shape)
    return bins, sums.cumsum(axis=-1)


def _around(rows: Rows, chosen: Rows, top: Rows, centre: Rows, before: Rows, wanted: Rows) -> Rows:
    """[`typical_range`], from the tokens of each row among which the sum reaches what is wanted, and the sum before them."""
    gap, counts = packed(rows, chosen)
    gap -= top
    distance = np.abs(gap - centre)
    order, each = distance.argsort(axis=-1), np.arange(len(rows))
    gap, distance = gap[each[:, None], order], distance[each[:, None], order]
    sums = np.exp(np.where(gap < np.inf, gap, -np.inf), dtype=np.float64).cumsum(axis=-1)
    sums += before[:, None]
    last = np.minimum((sums < wanted[:, None]).sum(axis=-1), counts - 1)
    limit, score = distance[each, last].astype(np.float64), gap[each, last]
    top, centre = top[:, 0].astype(np.float64), centre[:, 0]
    margin = NEAR * (np.abs(centre) + limit + np.abs(top) + 16.0)
    off = distance - limit[:, None]
    nearer, until = (off < -margin[:, None]).sum(axis=-1), (off <= margin[:, None]).sum(axis=-1)
    inside = np.abs(off, out=off) <= margin[:, None]
    inside &= gap != score[:, None]
    slack = wanted * rounding(rows.shape[-1])
    place = limit * bins_per_nat(rows.shape[-1])
    edge = np.abs(place - np.rint(place)) <= margin * bins_per_nat(rows.shape[-1])  # the bin beside it may have others
    certain = (wanted - np.where(nearer > 0, sums[each, nearer - 1], before) > slack) & ~inside.any(axis=-1)
    certain &= (sums[each, until - 1] - wanted > slack) & ~(edge & (limit > margin))
    middle, reach = top + centre, limit + margin / 2.0
    highest = np.where(middle + reach < top, middle + reach, np.inf)
    return np.stack([middle - reach, highest, certain], axis=-1)
