"""The parts of a voxel's shadow, in few steps, for vectors of voxels.

Lengths are in units of the width of the flat side, max(|cos|, |sin|) bins, in which a shadow is
1 high in its middle.
"""

from functools import partial

import numba
import numpy as np

from .compiled import kept

_inline = kept(partial(numba.njit, nogil=True, fastmath=True, error_model="numpy", inline="always"))
_ZERO, _ONE = np.float32(0), np.float32(1)
_ROUNDING = 1.5e-7  # by so much shadows are narrower, lest rounding be taken for an overlap


@_inline
def shadow_shape(theta_cos, theta_sin):
    """Return units per bin and, in single precision, half a bin, half a shadow's width, the width
    of a ramp and half its inverse."""
    wide, narrow = max(abs(theta_cos), abs(theta_sin)), min(abs(theta_cos), abs(theta_sin))
    ramp = narrow / wide
    return 1.0 / wide, (
        np.float32(0.5 / wide),
        np.float32(0.5 + 0.5 * ramp - _ROUNDING),
        np.float32(ramp),
        np.float32(0.5 / max(ramp, 1e-30)),
    )


@_inline
def beyond(reach, ramp, half_inverse):
    """Part of a shadow beyond an edge that it reaches over, by no more than its half."""
    over = max(reach, _ZERO)
    rise = min(over, ramp)
    return over - rise * (_ONE - half_inverse * rise)
