"""The last step of every sum of products: bias, scale, zero point, clamp, store.

Accumulators enter (float32 or float64 arrays holding exact integers, or plain float32 sums), the
output's values leave. `Requantize` is TFLite Micro's integer arithmetic, `Clamp` the float one.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.graph.fixedpoint import (
    INT32_MAX,
    Integers,
    multiply_by_quantized_multiplier,
    wrap_int32,
)

Values = npt.NDArray[Any]
# Elements worked on at a time: their float64 scratch stays in a core's second-level cache.
_BLOCK = 1 << 15
# Rows are joined to about this length, so that per-channel constants do not cut the inner loops.
_ROW = 1 << 10


class Finish(Protocol):
    """Turns accumulators into outputs, channels last."""

    def __call__(self, accumulators: Values, out: Values) -> None:
        """Finish `accumulators` (..., C) into `out` of the same shape."""


class Clamp:
    """Float: add the bias (C,) and clamp to the activation's range."""

    def __init__(self, bias: Values | None, low: float, high: float) -> None:
        self._bias = bias
        self._low = low
        self._high = high

    def __call__(self, accumulators: Values, out: Values) -> None:
        """Finish `accumulators` (..., C) into `out` of the same shape."""
        if self._bias is not None:
            np.add(accumulators, self._bias, out=accumulators)
        np.clip(accumulators, self._low, self._high, out=out)


class Requantize:
    """Integer: clamp(zero_point + MultiplyByQuantizedMultiplier(accumulator + bias)).

    Args:
        bias: (C,) integers, added first.
        multiplier, shift: (C,) as `quantize_multiplier` gives them.
        zero_point: of the output.
        low, high: the clamp, within the output's type.
        largest: (C,) a bound of |accumulator + bias|, for the choice of the arithmetic.
    """

    def __init__(
        self,
        *,
        bias: Integers,
        multiplier: Integers,
        shift: Integers,
        zero_point: int,
        low: int,
        high: int,
        largest: npt.NDArray[np.float64],
    ) -> None:
        self._bias = bias
        self._multiplier = multiplier
        self._shift = shift
        self._zero_point = zero_point
        self._low = low
        self._high = high
        self._is_affine = _affine_is_exact(shift, largest)

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest output."""
        return self._low, self._high

    def __call__(self, accumulators: Values, out: Values) -> None:
        """Finish `accumulators` (..., C) into `out` (int8 or uint8) of the same shape."""
        channels = len(self._bias)
        length = channels * _joined(accumulators.size // max(1, channels), channels)
        rows, results = accumulators.reshape(-1, length), out.reshape(-1, length)
        finish = self._affine(length) if self._is_affine else self._integer(length)
        step = max(1, _BLOCK // length)
        for start in range(0, len(rows), step):
            finish(rows[start : start + step], results[start : start + step])

    def _integer(self, length: int) -> Finish:
        """The definition: int64 arithmetic, wrapping where the compiled kernels' int32 wraps."""
        repeats = length // len(self._bias)
        bias = np.tile(self._bias, repeats)
        multiplier, shift = np.tile(self._multiplier, repeats), np.tile(self._shift, repeats)

        def finish(accumulators: Values, out: Values) -> None:
            sums = wrap_int32(accumulators.astype(np.int64) + bias)
            scaled = multiply_by_quantized_multiplier(sums, multiplier, shift)
            out[...] = np.clip(wrap_int32(scaled + self._zero_point), self._low, self._high)

        return finish

    def _affine(self, length: int) -> Finish:
        """The same for right shifts only, as one floor of a line: about five times as fast.

        With x the biased accumulator, s = -shift and M = multiplier / 2^(31+s), the first rounding
        is v = floor(x M 2^s + 1/2), the second floor((v + 2^(s-1)) / 2^s) for v >= 0 and
        floor((v + 2^(s-1) - 1) / 2^s) for v < 0. As floor(floor(a) / k) = floor(a / k), both in one
        are floor(x M + 1/2 + e) and floor(x M + 1/2 - e), e = 2^-(s+1) (e = 0 for s = 0, where the
        second rounding does nothing). v < 0 is x < 0, but for x = -1 at multiplier 2^30, where both
        give 0. Where the clamp hides everything below the zero point, the sign may be ignored: for
        x < 0 both give at most 0. `_affine_is_exact` proves the float64 evaluation.
        """
        repeats = length // len(self._bias)
        nudge = np.where(self._shift < 0, np.ldexp(1.0, self._shift - 1), 0.0)
        factor = np.ldexp(self._multiplier.astype(np.float64), self._shift - 31)
        bias, factor = np.tile(self._bias.astype(np.float64), repeats), np.tile(factor, repeats)
        nudge = np.tile(nudge, repeats)
        half_up = 0.5 + nudge
        is_signed = self._low < self._zero_point
        line = np.empty((max(1, _BLOCK // length), length))
        half = np.empty_like(line) if is_signed else line

        def finish(accumulators: Values, out: Values) -> None:
            y = line[: len(accumulators)]
            np.add(accumulators, bias, out=y)
            if is_signed:
                signed = np.copysign(nudge, y, out=half[: len(y)])
                np.add(signed, 0.5, out=signed)
                np.multiply(y, factor, out=y)
                np.add(y, signed, out=y)
            else:
                np.multiply(y, factor, out=y)
                np.add(y, half_up, out=y)
            np.floor(y, out=y)
            np.add(y, self._zero_point, out=y)
            np.clip(y, self._low, self._high, out=out, casting="unsafe")

        return finish


def _affine_is_exact(shift: Integers, largest: npt.NDArray[np.float64]) -> bool:
    """Whether floor(x M + c) in float64 is the exact one wherever the clamp does not decide.

    The exact x M + c is a multiple of g = 2^-(31+s). Its floor must step to n exactly when
    x M >= n - c. Rounding is monotone, so it suffices that n - c, n - c - g and n - g are float64
    numbers: they are if their magnitudes, at most k, have k 2^(31+s) <= 2^53. An 8-bit output
    steps at -254 <= n <= 255 only, so k = 256 will do, and no step lies beyond the largest x M + c.
    Sums within int32 and no left shift also mean that nothing can wrap.
    """
    right = -shift.astype(np.float64)
    reach = np.minimum(256.0, np.floor(largest * np.exp2(-right) + 0.75) + 1)
    exact = (right >= 0) & (largest <= INT32_MAX) & (reach * np.exp2(31 + right) <= 2.0**53)
    return bool(exact.all())


def _joined(rows: int, channels: int) -> int:
    """The largest divisor of `rows` that makes rows of at most `_ROW` elements."""
    return next((k for k in range(max(1, _ROW // channels), 1, -1) if rows % k == 0), 1)
