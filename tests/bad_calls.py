"""Calls of all public functions that work, with other values for each of their arguments.

A new function or argument gets a line here; tests/bad_inputs.py has the values. What an argument
accepts for good reasons is named with `but`, and what it refuses beyond the usual with `refused`.
Where arguments exclude each other, a function has several calls: "hebt.sweep, start".
"""

import dataclasses
import json
import warnings
from collections.abc import Callable

import numpy as np
from bad_inputs import (
    NO_VALUE,
    NOTHING,
    Argument,
    angles,
    argument,
    array,
    choice,
    count,
    counts,
    flag,
    function,
    names,
    number,
    progress,
    seed,
    text,
    thing,
)
from scipy import sparse

import hebt
from hebt import explorers, io, metrics, prepare, segmentation, simulate, validation

RNG = np.random.default_rng(1)
N = 8
TILTS = [-60.0, -30.0, 0.0, 30.0, 60.0]
W = hebt.Projector(TILTS, N)
OTHER = hebt.Projector(TILTS, N + 1)
# side by side and bright, so that ratios can be told from counting noise
DENSITY = RNG.integers(1, 5, (2, 2, N, N)) * (
    np.arange(N) // 4 == np.arange(2)[:, None, None, None]
)
DENSITY[:, :, :, [0, -1]] = 0
MAPS = np.rint(200 * np.moveaxis(W.forward(DENSITY), 1, 0)).astype(float)
HALF = hebt.split_counts(MAPS, seed=1)[0]
RATIOS = [2.0, 3.0]
HAADF = np.tensordot(RATIOS, MAPS, 1)
X = RNG.integers(1, 9, (2, 2, N, N)).astype(float)
MASK = np.kron([[1.0, 0.5], [1.0, 1.0]], np.ones((N // 2, N // 2)))
EM = hebt.CompositionEM((0, 1), haadf_noise=0.0)
TV = hebt.GuidedTV(10.0, haadf_noise=1.0)
FIT = hebt.response_ratios(HAADF, MAPS, ["Au", "Ag"])
SPECTRA = RNG.integers(0, 9, (12, 6)).astype(float)
CHANNELS = 0.5 + 0.25 * np.arange(6)
PARTS = prepare.Components(CHANNELS, np.eye(2, 6), np.eye(2, 6), np.array([0.7, 0.3]))
WINDOW = prepare.EnergyWindow("X", [(0.9, 1.1)], [[(0.5, 0.7), (1.3, 1.5)]])
RESULT = hebt.Result(X, ("Au", "Ag"), 1.5, ratios=FIT, angles=TILTS)
ENERGIES = 0.5 + 0.125 * np.arange(9)
BLOB = np.zeros((3, 16, 16))
BLOB[:, 5:10, 6:11] = 100 + RNG.integers(0, 9, (3, 5, 5))
SHIFTS = np.array([[0.0, 0.0], [0.5, -1.0], [1.0, 2.0], [0.0, 1.5], [-0.5, 0.0]])
SERIES = io.TiltSeries(
    angles=np.array(TILTS),
    haadf=HAADF,
    maps=MAPS,
    lines=("O_Ka", "Fe_Ka"),
    pixel_size=1.0,
    energies=ENERGIES,
    spectra=np.ones((5, 9)),
    windows=(WINDOW, WINDOW),
)


@dataclasses.dataclass
class Entry:
    """A call of a public function that works, and its arguments."""

    call: Callable
    arguments: dict


TABLE = {}


def refusing(**bad):
    """An argument of a call that there is no working one of."""
    return Argument(lambda: NO_VALUE, argument(None, bad=bad).others)


def entry(name, call, /, **arguments):
    """Put a call into the table; `name` is that of the function, or of a class and its method."""
    TABLE[name] = Entry(call, arguments)


LEAD = "one more axis", "one axis less"
ROWS = "a row less", "a row more"
COLUMNS = "a column less", "a column more"
NUMBER = "a number", "an array without axes"
LISTS = {k: v for k, v in NOTHING.items() if k != "None"} | {"an empty list": [], "a number": 3}
FREE = *LEAD, *ROWS, *COLUMNS, *NUMBER  # of any shape


# --- the method ---

A = angles(TILTS)
PROJECTOR = thing(W, np.array(TILTS)).but(refused={"another size": OTHER})
P, Q, V = array(HAADF), array(MAPS), array(X)
R = array(RATIOS).but(refused={"below 0": [-1.0, 1.0], "0": [0.0, 1.0]})
M = array(MASK).but(refused={"above 1": 2 * MASK, "below 0": -MASK})
CALLBACK = function(lambda *_: None)
RULE = function(hebt.RelativeChange(1e-3)).but("None", "a list")
HISTORY = thing(hebt.History()).but("None")
DEVICE, ITERATIONS = choice("cpu"), count(2)
RUN = dict(device=DEVICE, progress=progress())
BLUR = array([0.25, 0.5, 0.25]).but(
    "None",
    refused={
        "even": [0.5, 0.5],
        "uneven": [0.5, 0.25, 0.25],
        "below 0": [-0.5, 2.0, -0.5],
        "another sum": [1.0, 1.0, 1.0],
        "one of two": ([1.0], [0.5, 0.5]),
        "three": ([1.0], [1.0], [1.0]),
        "an image": np.full((3, 3), 1 / 9),
    },
)

entry("hebt.Projector", hebt.Projector, angles=A.but(*ROWS), size=count(N))
entry("hebt.Projector.forward", W.forward, x=V.but(*LEAD, *ROWS))
entry("hebt.Projector.backward", W.backward, p=P)
entry(
    "hebt.sirt",
    hebt.sirt,
    W=PROJECTOR,
    p=P.but(refused={"below 0": -HAADF}),
    iterations=ITERATIONS,
    mask=M.but("None"),
    x0=array(X[0]).but("None"),
    callback=CALLBACK.but("None"),
    blur=BLUR,
    stop=RULE,
    history=HISTORY,
    **RUN,
)
entry(
    "hebt.reconstruct",
    lambda **k: np.asarray(hebt.reconstruct(**k)),
    W=PROJECTOR,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS}),
    ratios=R,
    alpha=number(0.5, 1.0, 1.5, -0.1).but("None"),
    iterations=ITERATIONS.but("None"),
    mask=M.but("None"),
    x0=V.but("None"),
    method=choice("hebt"),
    haadf_projector=PROJECTOR.but("None"),
    blur=BLUR,
    **RUN,
)
entry(
    "hebt.reconstruct, composition",
    lambda **k: np.asarray(hebt.reconstruct(**k)),
    W=PROJECTOR,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS, "no counts": MAPS + 0.5}),
    ratios=R,
    iterations=ITERATIONS.but("None"),
    mask=M.but("None"),
    x0=V.but("None"),
    method=thing(EM, "composition", 4.0).but("a text"),
    haadf_projector=PROJECTOR.but("None"),
    **RUN,
)
entry(
    "hebt.reconstruct, composition in vain",
    lambda **k: hebt.reconstruct(W, HAADF, MAPS, RATIOS, iterations=2, method=EM, **k),
    alpha=refusing(**{repr(v): v for v in (0.0, 0.7, "0.7", [0.7])}),
    blur=refusing(kernel=[0.25, 0.5, 0.25], number=3, text="text"),
    device=refusing(number=3),
    out=refusing(number=3),
)
entry(
    "hebt.reconstruct, composition with edges in vain",
    lambda **k: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.CompositionEM(1, contrast=0.1), **k
    ),
    device=refusing(cuda="cuda"),
)
entry(
    "hebt.reconstruct, guided TV",
    lambda **k: np.asarray(hebt.reconstruct(**k)),
    W=PROJECTOR,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS, "no counts": MAPS + 0.5}),
    ratios=R,
    iterations=ITERATIONS.but("None"),
    mask=M.but("None"),
    x0=V.but("None"),
    method=thing(TV, "guided", 4.0).but("a text"),
    haadf_projector=PROJECTOR.but("None"),
    **RUN,
)
entry(
    "hebt.reconstruct, watched",
    lambda **k: hebt.reconstruct(W, HAADF, MAPS, RATIOS, 0.5, 2, **k),
    callback=CALLBACK.but("None"),
    stop=RULE,
    history=HISTORY,
)
entry(
    "hebt.reconstruct, in blocks",
    lambda out: hebt.reconstruct(W, HAADF, MAPS, RATIOS, 0.5, 2, out=out),
    out=argument(None, bad={repr(v): v for v in (3, 1.5, True, [], {1.0}, len)}),
)
entry(
    "hebt.reconstruct, into a store",
    lambda **k: np.asarray(hebt.reconstruct(W, HAADF, MAPS, RATIOS, 0.5, 2, out={}, **k)),
    about=argument(
        {"elements": ["Au", "Ag"]},
        bad={k: v for k, v in NOTHING.items() if k not in ("None", "a mapping")}
        | {"a number": 3, "one element": {"elements": ["Au"]}, "one text": {"elements": "AuAg"}}
        | {"no JSON": {"a": len}, "NaN": {"a": np.nan}, "its own": {"run": 1}},
    ),
    overwrite=flag(True),
)
VARIANCE = array(MAPS + 1)
entry(
    "hebt.CompositionEM",
    hebt.CompositionEM,
    kernel=number(1.5, -1.0).but(
        "two", "a list", refused={"three": (1, 2, 3), "a bad pair": (1, None), "below 0": (1, -1)}
    ),
    contrast=number(0.1, 0.0, -1.0).but("None"),
    total=choice("free").but("a number", refused={"0": 0.0, "below 0": -1.0, "inf": np.inf}),
    variance=VARIANCE.but(*FREE, "None", "Dask"),
    haadf_noise=number(2.0, -1.0).but("None"),
    shares=V.but(*FREE, "None"),
)
entry(
    "hebt.CompositionEM, shares of the result",
    lambda shares: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.CompositionEM(1, shares=shares)
    ),
    shares=V.but("None"),
)
entry("hebt.History", hebt.History, shares=flag(True))
entry(
    "hebt.CompositionEM, variance of the maps",
    lambda variance: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.CompositionEM(1, variance=variance)
    ),
    variance=VARIANCE.but("None", *NUMBER, "one axis less", "a row less"),
)
NOISE = dict(W=PROJECTOR, haadf=P.but(refused={"below 0": -HAADF}), ratios=R)
NOISE |= dict(iterations=ITERATIONS.but("None"), mask=M.but("None"), replicates=count(3))
NOISE |= dict(haadf_projector=PROJECTOR.but("None"), seed=seed(1), **RUN)
COUNTS = Q.but(refused={"below 0": -MAPS, "no counts": MAPS + 0.5, "a gain": 4 * MAPS})
entry(
    "hebt.noise_deviation",
    hebt.noise_deviation,
    **NOISE,
    maps=COUNTS,
    alpha=number(0.5, 1.0, 1.5, -0.1).but("None"),
    method=choice("hebt"),
)
entry(
    "hebt.noise_deviation, of fractions",
    hebt.noise_deviation,
    **NOISE,
    maps=COUNTS,
    method=thing(EM, "composition", 4.0).but("a text"),
    ratio_errors=array([0.1, 0.2]).but("None", refused={"below 0": [-0.1, 0.1]}),
    of=function(lambda x, ratios: x / ratios[:, None, None, None]).but("None"),
)
CHOICE = hebt.choose(
    W, HAADF, MAPS, RATIOS, kernels=[0.25], contrasts=[None, 0.1], totals=["hard"], iterations=2
)
entry(
    "hebt.choose",
    lambda **k: hebt.choose(**k, kernels=[0.25], iterations=2).deviance,
    W=PROJECTOR,
    haadf=P.but("Dask", refused={"below 0": -HAADF}),
    # float16 holds no odd numbers above 2048
    maps=Q.but("Dask", "float16", refused={"below 0": -MAPS, "no counts": MAPS + 0.5}),
    ratios=R,
    contrasts=argument([None], bad=LISTS | {"0": [0.0], "a text inside": ["much"]}),
    totals=argument(["hard"], bad=LISTS | {"0": [0.0], "one text": "hard", "no sum": ["soft"]}),
    along=flag(False),
    folds=count(2).but("None", refused={"1": 1, "6": 6}),
    slices=count(2).but("None", refused={"3": 3, "none": slice(1, 1), "steps": slice(0, 2, 2)}),
    mask=M.but("None", "Dask"),
    haadf_projector=PROJECTOR.but("None"),
    haadf_noise=number(2.0, -1.0).but("None"),
    seed=seed(1),
    progress=progress(),
)
entry(
    "hebt.choose, given",
    lambda **k: hebt.choose(W, HAADF, MAPS, RATIOS, totals=["hard"], **k).deviance,
    kernels=argument(
        [0.25], bad=LISTS | {"below 0": [-1.0], "three": [(1, 2, 3)], "one text": "1"}
    ),
    iterations=count(2),
)
entry(
    "hebt.choose, processed",
    lambda **k: (
        hebt.choose(
            W, HAADF, MAPS, RATIOS, kernels=[0.25], totals=["hard"], iterations=2, **k
        ).deviance
    ),
    parts=array([HALF, MAPS - HALF]).but(
        "float16",
        "None",
        *ROWS,
        refused={"another sum": [HALF, HALF / 9], "one": [MAPS], "three": [HALF] * 3},
    ),
    variance=VARIANCE.but(*FREE, "None"),
)
entry(
    "hebt.Choice.curve",
    CHOICE.curve,
    total=choice("hard").but("upper case", "no word", "spaces"),
    contrast=number(0.1, 0.0).but("None"),
)
entry(
    "hebt.reconstruct, fused",
    lambda **k: np.asarray(hebt.reconstruct(**k)),
    W=PROJECTOR,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS, "no counts": MAPS + 0.5}),
    ratios=R,
    iterations=ITERATIONS.but("None"),
    mask=M.but("None"),
    x0=V.but("None"),
    method=thing(hebt.Fused(haadf_noise=0.0), "composition", 4.0).but("a text"),
    haadf_projector=PROJECTOR.but("None"),
    **RUN,
)
entry(
    "hebt.reconstruct, fused in vain",
    lambda **k: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.Fused(haadf_noise=0.0), **k
    ),
    alpha=refusing(**{repr(v): v for v in (0.0, 0.7, "0.7", [0.7])}),
    accelerate=refusing(true=True, number=3),
    blur=refusing(kernel=[0.25, 0.5, 0.25], number=3, text="text"),
    out=refusing(number=3),
)
entry(
    "hebt.Fused",
    hebt.Fused,
    variance=VARIANCE.but(*FREE, "None", "Dask"),
    haadf_noise=number(2.0, -1.0).but("None"),
)
entry(
    "hebt.Fused, variance of the maps",
    lambda variance: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.Fused(variance)
    ),
    variance=VARIANCE.but("None", *NUMBER, "one axis less", "a row less"),
)
entry(
    "hebt.GuidedTV",
    hebt.GuidedTV,
    strength=number(500.0, -1.0),
    variance=VARIANCE.but(*FREE, "None", "Dask"),
    haadf_noise=number(2.0, -1.0).but("None"),
    guidance=number(0.5, -0.1, 1.1),
    along=flag(True),
)
entry(
    "hebt.GuidedTV, variance of the maps",
    lambda variance: hebt.reconstruct(
        W, HAADF, MAPS, RATIOS, iterations=2, method=hebt.GuidedTV(10, variance=variance)
    ),
    variance=VARIANCE.but("None", *NUMBER, "one axis less", "a row less"),
)
entry(
    "hebt.sirt, accelerated",
    lambda accelerate: hebt.sirt(W, HAADF, 2, accelerate=accelerate),
    accelerate=flag(True),
)
entry(
    "hebt.reconstruct, accelerated",
    lambda accelerate: hebt.reconstruct(W, HAADF, MAPS, RATIOS, 0.5, 2, accelerate=accelerate),
    accelerate=flag(True),
)
entry(
    "hebt.open_result", hebt.open_result, path=refusing(**NOTHING, **{"a number": 3, "True": True})
)
entry(
    "hebt.sweep",
    hebt.sweep,
    W=PROJECTOR,
    haadf=P,
    maps=Q,
    ratios=R,
    alphas=array([0.0, 0.5]).but(
        "one axis less",
        *ROWS,
        *NUMBER,
        refused={"1": [0.5, 1.0], "below 0": [-0.1, 0.5], "one of 1": 1.0},
    ),
    iterations=counts([1, 3]).but("one number"),
    haadf_projector=PROJECTOR.but("None"),
    blur=BLUR,
    **RUN,
)
entry(
    "hebt.response_ratios",
    hebt.response_ratios,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS}),
    names=names(["Au", "Ag"]),
    variance=array(MAPS / 2).but(
        "None",
        *(*LEAD, "a row less", *NUMBER),  # what broadcasts to the maps
        refused={"below 0": -MAPS, "another word": "Counts"},
    ),
)
entry(
    "hebt.response_ratios, half",
    lambda half: hebt.response_ratios(HAADF, MAPS, half=half),
    half=array(HALF).but("None", refused={"nothing": 0 * HALF}),
)
entry(
    "hebt.split_counts",
    lambda **k: np.stack(hebt.split_counts(**k)).astype(float),  # it keeps the type
    # float16 holds no odd numbers above 2048
    counts=Q.but(*FREE, "float16", refused={"below 0": -MAPS, "halves": MAPS / 2 + 0.25}),
    seed=seed(1),
    parts=count(2).but(refused={"1": 1}),
)
entry("hebt.ResponseRatios.predict", FIT.predict, maps=Q.but(*COLUMNS))
entry(
    "hebt.Discrepancy",
    hebt.Discrepancy,
    eds=array([1.0, 2.0]).but(
        "None", "one axis less", "beyond float32", *ROWS, *NUMBER, refused={"0": [1.0, 0.0]}
    ),
    haadf=number(3.0, 0, -1).but("None"),
    factor=number(1.0, 0, -1),
    fitted=array([0.1, 0.2]).but("None", "beyond float32", *ROWS),
)
entry(
    "hebt.fitted_noise",
    lambda **k: hebt.fitted_noise(**k, progress=False),
    W=PROJECTOR,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q,
    ratios=R,
    half=array(HALF).but(refused={"exactly half": MAPS / 2}),
    iterations=count(2),
)
entry("hebt.RelativeChange", hebt.RelativeChange, tolerance=number(0.5, 0, -1))
entry(
    "hebt.Snapshots",
    hebt.Snapshots,
    iterations=counts([1, 3]).but("falling"),
    score=CALLBACK.but("None"),
)
entry(
    "hebt.common_tilts",
    hebt.common_tilts,
    angles=A.but(*ROWS),
    other_angles=A.but(*ROWS),
    within=number(0.5, -1),
)
entry(
    "hebt.poisson_noise",
    hebt.poisson_noise,
    maps=Q.but(*COLUMNS),
    ratios=R,
    variance=array(MAPS / 2).but("None", *LEAD, "a row less", *NUMBER, refused={"below 0": -MAPS}),
)
PARTS_OF_X = dict(x=V.but("one axis less", *COLUMNS), ratios=R)  # any axes after the first
entry("hebt.density", hebt.density, **PARTS_OF_X, zeta_factors=R)
entry("hebt.density, the paper's", hebt.density, **PARTS_OF_X, eds_response=R)
entry("hebt.composition, k", hebt.composition, **PARTS_OF_X, k_factors=R)
entry("hebt.composition, the paper's", hebt.composition, **PARTS_OF_X, eds_response=R)
entry(
    "hebt.composition",
    hebt.composition,
    **PARTS_OF_X,
    zeta_factors=R,
    elements=names(["Au", "Ag"]).but(refused={"no element": ["Au", "Xx"]}),
    kind=choice("atomic"),
    least=number(0.5, -1),
)

entry(
    "hebt.composition_error",
    hebt.composition_error,
    fractions=array([[0.5, 0.9], [0.5, 0.1]]).but(
        "one axis less",
        *COLUMNS,
        *("NaN", "NaN at first", "NaN, float32", "NaN in a list", "NaN everywhere"),
        refused={"no fractions": X},
    ),
    factor_errors=array([0.02, 0.03]).but(refused={"below 0": [-0.1, 0.1]}),
)

# --- how good it is ---

PAIR = dict(reference=array(X[0]), image=array(X[1]))
entry(
    "hebt.metrics.ssim_structure",
    metrics.ssim_structure,
    **PAIR,
    window=choice("gaussian").but("None"),
)
entry("hebt.metrics.optimal_scale", metrics.optimal_scale, **PAIR)
entry("hebt.metrics.scaled_mse", metrics.scaled_mse, **PAIR, normalise=choice("pixels"))
entry(
    "hebt.metrics.pixel_difference",
    metrics.pixel_difference,
    reference=array(X[0] > 4).but(refused={"not binary": X[0]}),
    image=array(X[1]),
)
entry(
    "hebt.metrics.structure_map",
    metrics.structure_map,
    x=array(X[0, 0]).but("beyond float32"),
    y=array(X[0, 1]).but("beyond float32"),
    c3=number(0.5, 0, -1),
)
entry(
    "hebt.segmentation.segment",
    segmentation.segment,
    volume=array(BLOB * np.repeat([1.0, 0.5], 8)).but("one axis less", *ROWS, *COLUMNS),
    materials=count(2, 300),
    sigma=number(0.5, -1),
)
PARTS_FOUND = segmentation.Segmentation(
    np.arange(8, dtype=np.uint8).reshape(2, 2, 2) % 3, (1.0, 2.0)
)
entry("hebt.segmentation.Segmentation.mask", PARTS_FOUND.mask, label=count(2, 3))
JUDGED = {
    "variance": array(MAPS + 1).but("None", refused={"0": 0 * MAPS, "below 0": -MAPS}),
    "ratio_maps": Q.but("None", "bool"),
    "haadf_angles": A.but("None"),
    "mask": M.but("None"),
    "margin": count(1, N // 2, least=0),
    "names": names(["Au", "Ag"]),
    "progress": progress(),
}
entry(
    "hebt.validation.leave_one_out",
    validation.leave_one_out,
    angles=A,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS}),
    held=array([0.0, 30.0]).but(*ROWS, refused={"no tilt": [0.0, 31.0]}),
    targets=Q.but("None"),
    alphas=array([0.0, 0.5]).but(
        *ROWS,
        *("empty", "an empty list", "no rows", "no columns"),
        refused={"1": [0.5, 1.0], "below 0": [-0.1, 0.5]},
    ),
    stops=counts([1, 2]),
    **JUDGED,
    blur=BLUR,
    scale=flag(True),
)
METHODS = {"EDS": 0.0, "EM": EM}
NO_METHODS = {k: v for k, v in NOTHING.items() if k != "None"} | {
    "none": {},
    "a list": [0.5],
    "1": {"HEBT": 1.0},
    "a word": {"EM": "composition"},
    "numbers": {1: 0.5},
}
entry(
    "hebt.validation.leave_one_out, methods",
    lambda methods: validation.leave_one_out(
        TILTS, HAADF, MAPS, held=[0.0], stops=[1], methods=methods
    ),
    methods=argument(METHODS, bad=NO_METHODS),
)
RECIPES = {"EDS": [validation.Recipe(0.0, (1, 2))], "EM": [validation.Recipe(EM, (1,))]}
CONTENDERS = argument(
    RECIPES,
    bad=NOTHING
    | {
        "none": {},
        "a recipe": RECIPES["EDS"],
        "no recipes": {"EDS": []},
        "weights": {"EDS": [0.0]},
        "other maps": {"EDS": [validation.Recipe(0.0, (1,), maps=MAPS[:, 1:])]},
    },
)
NESTED = dict(
    angles=A,
    haadf=P.but(refused={"below 0": -HAADF}),
    maps=Q.but(refused={"below 0": -MAPS}),
    contenders=CONTENDERS,
    held=array([-30.0, 0.0, 30.0]).but(*ROWS, refused={"no tilt": [0.0, 30.0, 31.0]}),
    inner=count(1, 3),
    targets=Q.but("None"),
    **JUDGED,
    scale=flag(True),
)
entry(
    "hebt.validation.nested",
    validation.nested,
    **{name: argument.refused_alone() for name, argument in NESTED.items()},
)
SHARES = np.stack(hebt.split_counts(MAPS, seed=2, parts=3))
NESTED_COUNTS = dict(
    angles=A,
    haadf=P.but(refused={"below 0": -HAADF}),
    parts=array(SHARES).but(*ROWS, refused={"below 0": -SHARES, "two": SHARES[:2]}),
    contenders=CONTENDERS,
    inner=count(1, 3),
    targets=array(SHARES).but("None"),
    variance=array(SHARES + 1).but("None", refused={"0": 0 * SHARES}),
    ratio_parts=array(SHARES).but("None", "bool"),
    haadf_angles=A.but("None"),
    mask=M.but("None"),
    margin=count(1, N // 2, least=0),
    names=names(["Au", "Ag"]),
    progress=progress(),
)
entry(
    "hebt.validation.nested_counts",
    validation.nested_counts,
    **{name: argument.refused_alone() for name, argument in NESTED_COUNTS.items()},
)
entry(
    "hebt.validation.Recipe",
    validation.Recipe,
    method=number(0.5, 1, -0.5),
    stops=counts([1, 2]),
    maps=array(MAPS).but("None", *FREE, *COLUMNS),
    haadf=array(HAADF).but("None", *FREE, *COLUMNS),
    blur=BLUR,
    name=text("as counted").but("None"),
)
JUDGE = validation.nested(TILTS, HAADF, MAPS, RECIPES, held=[-30, 0, 30], inner=1)
REFERENCE = argument("EDS", bad=NOTHING | {"another": "HEBT", "a number": 0})
entry("hebt.validation.Judged.differences", JUDGE.differences, reference=REFERENCE)
entry(
    "hebt.validation.Judged.verdicts", JUDGE.verdicts, reference=REFERENCE, errors=number(2.0, -1)
)

# --- from recorded to aligned images ---

IMAGES, S = array(HAADF), array(SHIFTS).but("beyond float32")
AXIS = argument(
    -1,
    bad={"too far": 4, "one twice": (-1, -1), "a text": "x", "None": None, "a fraction": 1.0}
    | {"True": True, "NaN": np.nan, "an empty tuple": ()},
    same={"numpy's": (np.int64(-1), -1), "a tuple": ((-1,), -1), "a list": ([-1], -1)},
)
SIGMA, FACTOR = number(0.5, 0, -1), count(2, 3)
entry(
    "hebt.prepare.bin_images",
    prepare.bin_images,
    images=IMAGES.but(*LEAD, *ROWS),
    factor=FACTOR,
    axis=AXIS,
    mean=flag(True),
)
entry(
    "hebt.prepare.smooth",
    prepare.smooth,
    images=IMAGES.but(*LEAD, *ROWS, *COLUMNS),
    width=count(3, 9),
    sigma=SIGMA,
    axis=AXIS,
    centered=flag(False),
)
entry(
    "hebt.prepare.smoothing_kernel",
    prepare.smoothing_kernel,
    width=count(4),
    sigma=SIGMA,
    centered=flag(False),
)
entry(
    "hebt.prepare.smooth_variance",
    prepare.smooth_variance,
    variance=array(HAADF).but("one more axis", *COLUMNS, refused={"below 0": -HAADF}),
    width=count(3),
    sigma=SIGMA,
    axis=AXIS,
    centered=flag(False),
    shifts=S.but("None"),
    binning=count(1, N + 1),
)
entry(
    "hebt.prepare.apply_shifts",
    prepare.apply_shifts,
    images=IMAGES.but("one more axis", *COLUMNS),
    shifts=S,
    order=count(1, 6, least=0),
    mode=choice("constant"),
)
entry(
    "hebt.prepare.crop_flat",
    prepare.crop_flat,
    images=IMAGES.but("one more axis"),
    angles=A.but(refused={"from the side": [-90.0, -30.0, 0.0, 30.0, 60.0]}),
    size=count(6, 7, 9),
    slices=count(2, 1, 3).but("None"),
    edge=number(2.0, 0, -1, 7.0),
)
entry(
    "hebt.prepare.mass_inconsistency",
    prepare.mass_inconsistency,
    images=IMAGES.but(*ROWS, *COLUMNS),
)
entry("hebt.prepare.slab_mask", prepare.slab_mask, size=count(8), depth=number(3.0, 0, -1, 9))
entry(
    "hebt.prepare.estimate_shifts",
    prepare.estimate_shifts,
    haadf=array(BLOB).but(*ROWS, *COLUMNS),
    upsample=count(4),
)
entry(
    "hebt.prepare.estimate_shifts_to",
    prepare.estimate_shifts_to,
    reference=array(BLOB[:2]),
    images=array(BLOB[1:]),
)
SERIES_ALONE = array(HAADF).but(*ROWS, *COLUMNS)
entry("hebt.prepare.center_of_mass", prepare.center_of_mass, images=SERIES_ALONE)
entry("hebt.prepare.estimate_center_shifts", prepare.estimate_center_shifts, haadf=SERIES_ALONE)
entry("hebt.prepare.alignment_error", prepare.alignment_error, shifts=S, drift=S, angles=A)
REPROJECTED = dict(
    haadf=array(BLOB).but(*COLUMNS),
    angles=angles([-40.0, 0.0, 40.0]),
    shifts=array(SHIFTS[:3]).but("beyond float32"),
    solve=function(hebt.sirt),
    size=count(12, 13, 18),
    depth=number(4.0, 0, -1),
    slices=count(10, 11, 18).but("None"),
    factor=FACTOR,
    iterations=ITERATIONS,
)
entry(
    "hebt.prepare.refine_alignment",
    lambda **k: prepare.refine_alignment(**k),
    **REPROJECTED,
    rounds=count(1),
    tolerance=number(0.5, -1),
    progress=progress(),
)
entry(
    "hebt.prepare.reprojection_residual",
    prepare.reprojection_residual,
    **REPROJECTED,
    offset=number(0.5),
)
ALONE = array(BLOB).but(*ROWS, *COLUMNS)
entry(
    "hebt.prepare.particle_masks",
    prepare.particle_masks,
    haadf=ALONE,
    border=count(2, 8),
    margin=count(1, least=0),
)
entry("hebt.prepare.binarize", prepare.binarize, haadf=ALONE, fraction=number(0.5, 0, -1, 1))
INSIDE = BLOB > 0
entry(
    "hebt.prepare.remove_offset",
    prepare.remove_offset,
    haadf=array(BLOB),
    masks=argument(
        INSIDE,
        bad={"numbers": 2.0 * INSIDE, "NaN": np.where(INSIDE, np.nan, 0), "full": INSIDE | True}
        | {"masked": np.ma.array(INSIDE, mask=INSIDE), "a row less": INSIDE[1:]}
        | {"a text": "text", "a number": 1, "an empty list": []},
        same={"a list": (INSIDE.tolist(), INSIDE), "Fortran's order": (INSIDE.copy("F"), INSIDE)},
    ),
)
entry("hebt.prepare.estimate_offset", prepare.estimate_offset, haadf=ALONE)


def find_axis(**given):
    with warnings.catch_warnings():
        # so few pixels do not tell
        warnings.filterwarnings("ignore", "haadf (does not tell|hardly tells)", UserWarning)
        return prepare.estimate_tilt_axis(**given).errors


entry(
    "hebt.prepare.estimate_tilt_axis",
    find_axis,
    haadf=array(np.concatenate([BLOB, BLOB])[:, 4:11, 5:12]).but(*COLUMNS),
    angles=angles([-50.0, -30.0, -10.0, 10.0, 30.0, 50.0]).refused_alone(),
    shifts=array(np.rint(np.concatenate([SHIFTS, SHIFTS[:1]]))).but("None").refused_alone(),
    depth=number(3.0, 0, -1).but("None").refused_alone(),
    progress=progress().refused_alone(),
)
entry(
    "hebt.prepare.apply_tilt_axis",
    prepare.apply_tilt_axis,
    images=ALONE.but(*LEAD[:1]),
    axis=thing(prepare.TiltAxis(1, 3.0, 0.5)),
    shifts=array(SHIFTS[:3]).but("None", "beyond float32"),
    order=count(1, 6, least=0),
    mode=choice("nearest"),
    variance=flag(False),
)
entry(
    "hebt.prepare.TiltAxis",
    lambda **k: prepare.apply_tilt_axis(BLOB, prepare.TiltAxis(**k)),
    along=argument(1, bad={"None": None, "a text": "1", "2": 2, "-1": -1, "True": True}),
    rotation=number(3.0),
    offset=number(0.5),
    shifts=array(SHIFTS[:3]).but("None", "beyond float32"),
)
entry(
    "hebt.prepare.correct_damping",
    prepare.correct_damping,
    haadf=ALONE.but(*LEAD, *NUMBER),
    saturation=number(200.0, 100, 0, -1).but("inf"),
)
entry("hebt.prepare.estimate_damping", prepare.estimate_damping, haadf=ALONE, groups=count(4))
entry("hebt.prepare.tilt_response", prepare.tilt_response, maps=Q.but(*ROWS, *COLUMNS))
entry(
    "hebt.prepare.normalize_tilts",
    prepare.normalize_tilts,
    maps=Q.but(*ROWS, *COLUMNS),
    response=array([1.0, 0.5, 1.0, 2.0, 1.0]).but(refused={"0": [0.0, 1, 1, 1, 1]}),
)
E = array(ENERGIES).but("tiny")
entry(
    "hebt.prepare.EnergyWindow",
    prepare.EnergyWindow,
    name=text("X"),
    peaks=argument(
        ((0.9, 1.1),),
        bad={"none": (), "NaN": ((np.nan, 1.1),), "turned round": ((1.1, 0.9),), "None": None}
        | {"a text": "text", "three": ((0.9, 1.0, 1.1),), "a pair": (0.9, 1.1), "a number": 3.0},
        same={"lists": ([[0.9, 1.1]], ((0.9, 1.1),))},
    ),
    backgrounds=argument(
        (((0.5, 0.7), (1.3, 1.5)),),
        bad={"none": (), "NaN": (((0.5, np.nan), (1.3, 1.5)),), "None": None, "a text": "text"}
        | {"turned round": (((0.7, 0.5), (1.3, 1.5)),), "three": (((0.5, 0.7),) * 3,)},
    ),
)
entry(
    "hebt.prepare.EnergyWindow.weights",
    WINDOW.weights,
    energies=E.but(*ROWS, refused={"uneven": ENERGIES**2}),
    background=flag(True),
)
entry(
    "hebt.prepare.element_maps",
    prepare.element_maps,
    spectrum_image=array(RNG.integers(0, 9, (3, 4, 9))).but(
        *ROWS, "one axis less", "one more axis"
    ),
    windows=argument(
        (WINDOW,),
        bad={"None": None, "a text": "text", "a number": 3, "pairs": [(0.9, 1.1)], "none": []},
        same={"a list": ([WINDOW], (WINDOW,)), "alone": (WINDOW, (WINDOW,))},
    ),
    energies=E,
)
entry(
    "hebt.prepare.map_variance",
    prepare.map_variance,
    spectrum_image=array(RNG.integers(0, 9, (3, 4, 9))).but(
        *ROWS, "one axis less", "one more axis"
    ),
    windows=argument(
        (WINDOW,),
        bad={"None": None, "a text": "text", "a number": 3, "pairs": [(0.9, 1.1)], "none": []},
        same={"a list": ([WINDOW], (WINDOW,)), "alone": (WINDOW, (WINDOW,))},
    ),
    energies=E,
)
RANGES = argument(
    [(0.5, 1.0)],
    bad={"None": None, "a text": "text", "a number": 3.0, "NaN": [(np.nan, 1.0)]}
    | {"turned round": [(1.0, 0.5)], "three": [(0.5, 0.7, 1.0)], "a pair": (0.5, 1.0)},
)
entry("hebt.prepare.channels_near", prepare.channels_near, energies=E.but(*ROWS), ranges=RANGES)
LINE_ENERGIES = 0.01 * np.arange(1, 1000)
entry(
    "hebt.prepare.line_windows",
    lambda lines, avoid, resolution, width: prepare.line_windows(
        LINE_ENERGIES, lines, avoid=avoid, resolution=resolution, width=width
    ),
    lines=names(["O_Ka", "Si_Ka"]).but(
        "one less", "one more", "twice the same", refused={"no": ["O_Zz"]}
    ),
    avoid=argument(
        ("C_Ka", (0.0, 0.16)),
        bad={"None": None, "one text": "C_Ka", "no line": ["C_Zz"], "NaN": [(np.nan, 1.0)]}
        | {"a number": 3.0, "three": [(1.0, 2.0, 3.0)], "turned round": [(2.0, 1.0)]},
    ),
    resolution=number(130.0, 0, -1),
    width=number(1.0, 0, -1),
)
entry(
    "hebt.prepare.line_windows, energies",
    lambda energies: prepare.line_windows(energies, ["O_Ka"]),
    energies=angles(LINE_ENERGIES[:99]).but(*ROWS, "radians", "texts", "a fill value"),
)
LINE_WINDOWS = prepare.line_windows(LINE_ENERGIES, ["O_Ka", "Si_Ka"])
OVERLAP = dict(
    windows=argument(
        LINE_WINDOWS,
        bad={"None": None, "a text": "text", "a number": 3, "pairs": [(0.9, 1.1)], "none": []}
        | {"no line": [WINDOW], "alone": LINE_WINDOWS[0]},
        same={"a tuple": (tuple(LINE_WINDOWS), LINE_WINDOWS)},
    ),
    energies=array(LINE_ENERGIES).but(*ROWS),
    resolution=number(130.0, 0, -1),
)
entry("hebt.prepare.crosstalk_matrix", prepare.crosstalk_matrix, **OVERLAP)
entry("hebt.prepare.unmix", prepare.unmix, maps=array(X).but(*LEAD, *COLUMNS), **OVERLAP)
entry(
    "hebt.prepare.line_width",
    prepare.line_width,
    energy=E.but(*FREE[:4], *NUMBER, refused={"below 0": -ENERGIES}),
    resolution=number(130.0, 0, -1),
)
ELEMENT = choice("Au").but(refused={"two": "AuAg"})
entry("hebt.prepare.xray_lines", prepare.xray_lines, element=ELEMENT)
LINES = names(["Au_Ma", "Ag_La"]).but("one less", "twice the same", refused={"no": ["Au_Zz"]})
entry(
    "hebt.prepare.mass_absorption",
    prepare.mass_absorption,
    lines=LINES,
    elements=names(["Au", "Ag"]).but(
        "one less", "one more", "twice the same", refused={"no": ["Xx"]}
    ),
)
entry(
    "hebt.prepare.absorption_factors",
    prepare.absorption_factors,
    W=PROJECTOR,
    density=array(1000 * X).but("one more axis", *ROWS, refused={"below 0": -1000 * X}),
    elements=names(["Au", "Ag"]),
    lines=LINES,
    voxel_size=number(2.0, 0, -1),
    azimuths=array([45.0, 315.0]).but("None", *ROWS, *NUMBER),
    elevation=number(18.0, -1, 91),
)
entry(
    "hebt.prepare.decompose",
    prepare.decompose,
    spectra=array(SPECTRA).but("one more axis", *ROWS, refused={"below 0": -SPECTRA}),
    energies=array(CHANNELS).but("tiny"),
    components=count(2, 7),
    scaled=flag(True),
)
entry(
    "hebt.prepare.bin_spectra",
    prepare.bin_spectra,
    spectra=argument(
        sparse.csr_array(SPECTRA),
        bad={**NOTHING, "NaN": sparse.csr_array(np.where(SPECTRA > 7, np.nan, SPECTRA))}
        | {"a row less": sparse.csr_array(SPECTRA[:-1]), "masked": np.ma.array(SPECTRA, mask=True)}
        | {"a number": 3, "a list": [1.0]},
        same={"an array": (SPECTRA, sparse.csr_array(SPECTRA))}
        | {"uint16": (sparse.csc_array(SPECTRA.astype(np.uint16)), sparse.csr_array(SPECTRA))},
    ),
    shape=argument(
        (4, 3),
        bad={
            "None": None,
            "three": (2, 2, 3),
            "a number": 12,
            "below 0": (-4, -3),
            "NaN": (4, np.nan),
        }
        | {"another": (3, 3), "fractions": (4.0, 3.0), "texts": ("4", "3"), "a text": "43"},
        same={"a list": ([4, 3], (4, 3)), "an array": (np.array([4, 3]), (4, 3))},
    ),
    factor=count(1, 2),
    mask=argument(
        np.eye(4, 3) > 0,
        bad={"a row less": np.ones((3, 3), bool), "NaN": np.full((4, 3), np.nan), "a text": "text"}
        | {"masked": np.ma.array(np.ones((4, 3), bool), mask=np.eye(4, 3)), "a number": 1}
        | {"one more axis": np.ones((1, 4, 3), bool), "an empty list": []},
        same={"a list": ((np.eye(4, 3) > 0).tolist(), np.eye(4, 3) > 0)},
    ),
)
KEPT = count(1, 3, least=1).but("None")
entry(
    "hebt.prepare.Components.denoise",
    PARTS.denoise,
    spectra=array(SPECTRA).but("one more axis", "one axis less", *ROWS),
    count=KEPT,
)
entry(
    "hebt.prepare.Components.weights",
    PARTS.weights,
    weights=array(SPECTRA - 4).but("one more axis", "one axis less", "beyond float32", *ROWS),
    count=KEPT,
)
TELLING = 100 * SPECTRA
entry(
    "hebt.prepare.measure_mixing",
    lambda **k: prepare.measure_mixing(**k).response,
    spectra=array(TELLING).but(*ROWS, "one more axis", refused={"below 0": -TELLING}),
    weights=array(np.eye(2, 6)).but("beyond float32"),
    denoised=array(np.eye(2, 6) / 2).but("beyond float32"),
)

# --- specimens and a microscope ---

D = array(DENSITY).but("one axis less", refused={"below 0": -DENSITY})
Z = array(RATIOS).but(refused={"below 0": [-1.0, 1.0]})
WITH_SLICES = "one axis less", *ROWS
entry("hebt.simulate.haadf_tilt_series", simulate.haadf_tilt_series, W=PROJECTOR, density=D, z=Z)
COUNTED = dict(W=PROJECTOR, density=D, zeta=Z, dose=number(2.0, 0, -1))
entry("hebt.simulate.mean_counts", simulate.mean_counts, **COUNTED)
entry("hebt.simulate.eds_tilt_series", simulate.eds_tilt_series, **COUNTED, seed=seed(1))
entry(
    "hebt.simulate.eds_tilt_series, of seeds",
    lambda seed: simulate.eds_tilt_series(W, DENSITY[:, 0], RATIOS, seed=seed),
    seed=seed([1, 2]).but("numpy's", refused={"None inside": [1, None]}),
)
SATURATION = number(500.0, 0, -1).but("inf")
entry("hebt.simulate.damp", simulate.damp, intensity=P.but(*FREE), saturation=SATURATION)
entry("hebt.simulate.drift", simulate.drift, tilts=count(3), size=number(1.0, -1), seed=seed(1))
entry(
    "hebt.simulate.apply_drift",
    simulate.apply_drift,
    images=IMAGES.but("one more axis", *COLUMNS),
    shifts=S,
)
entry(
    "hebt.simulate.record_haadf",
    simulate.record_haadf,
    ideal=IMAGES.but(*COLUMNS),
    saturation=SATURATION,
    electrons=number(500.0, 0, -1).but("inf"),
    noise=number(1.0, -1),
    offset=number(2.0, -1),
    shifts=S,
    seed=seed(1),
)
entry("hebt.simulate.detector_response", simulate.detector_response, angles=A.but(*ROWS))
entry(
    "hebt.simulate.lines_spectrum",
    simulate.lines_spectrum,
    element=ELEMENT.but(refused={"another": "Fe"}),
    counted=names(["La", "Ma"]).but("one less", "twice the same", refused={"no line": ["Zz"]}),
    resolution=number(130.0, 0, -1),
)
entry(
    "hebt.simulate.spectrum_image",
    simulate.spectrum_image,
    means=array(X[0]).but(*COLUMNS, refused={"below 0": -X[0]}),
    spectra=array(SPECTRA[:2]).but(*COLUMNS, refused={"below 0": -SPECTRA[:2]}),
    seed=seed(1),
)
entry(
    "hebt.simulate.Specimen",
    simulate.Specimen,
    elements=names(["Au", "Ag"]),
    density=D,
    voxel_size=number(1.0, 0, -1).but("None"),
)
entry(
    "hebt.simulate.phantom",
    simulate.phantom,
    size=count(16),
    side=number(370.0, 0, -1, 513),
    corner=number(50.0, -1, 200),
    half_diagonal=number(185.0, 0, -1, 512),
    cut=number(0.25, -1, 1),
)
entry("hebt.simulate.graded_disc", simulate.graded_disc, size=count(16))
TURN = array([25.0, 18.0, 35.0]).but("tiny", "beyond float32")
entry(
    "hebt.simulate.embedded_octahedron",
    simulate.embedded_octahedron,
    size=count(4),
    field=number(135.0, 0, -1, 50),
    half_width=number(45.0, 0, -1, 100),
    tip=number(42.0, 0, -1, 46),
    turn=TURN,
)
entry(
    "hebt.simulate.alloy_particle",
    simulate.alloy_particle,
    size=count(4),
    field=number(37.5, 0, -1, 20),
    half_width=number(14.0, 0, -1, 30),
    gold=array([0.25, 0.5]).but(refused={"below 0": [-0.1, 0.5], "above 1": [0.5, 1.5]}),
    turn=TURN,
)

# --- explorers ---

LIMITS = argument(
    (0.0, 10.0),
    bad={**NOTHING, "NaN": (np.nan, 1.0), "inf": (0.0, np.inf), "turned round": (10.0, 0.0)}
    | {"one": (1.0,), "three": (0.0, 1.0, 2.0), "equal": (1.0, 1.0), "a number": 3.0}
    | {"texts": ("a", "b"), "masked": np.ma.array([0.0, 1.0], mask=[0, 1])},
    same={"a list": ([0.0, 10.0], (0.0, 10.0)), "an array": (np.array([0.0, 10.0]), (0.0, 10.0))},
)
LOOK = dict(limits=LIMITS.but("None"), unit=text("a"), cmap=choice("gray"), caption=text("a"))
COLUMNS_SHOWN = count(2).but("None")
entry(
    "hebt.explorers.slices",
    explorers.slices,
    volume=array(X[0]).but(*ROWS, *COLUMNS),
    axis=count(1, 3, least=0).but("None"),
    start=count(1, 8, least=0).but("None"),
    smooth=flag(True),
    columns=COLUMNS_SHOWN,
    **LOOK,
)
entry(
    "hebt.explorers.slices, reference",
    lambda reference: explorers.slices(X[0], reference=reference),
    reference=array(X[0] + np.arange(X.shape[-1])).but("None"),
)
entry(
    "hebt.explorers.tilts",
    explorers.tilts,
    images=array(HAADF).but(*COLUMNS),
    angles=A,
    columns=COLUMNS_SHOWN,
    **LOOK,
)
entry(
    "hebt.explorers.tilts, start",
    lambda start: explorers.tilts(HAADF, TILTS, start=start),
    start=number(30.0, 31.0).but("None"),
)
SWEPT = RNG.integers(1, 9, (2, 3, 2, 4, 4)).astype(float)
entry(
    "hebt.explorers.sweep",
    explorers.sweep,
    x=array(SWEPT),
    alphas=array([0.25, 0.5]).but("bool", "tiny", refused={"twice the same": [0.5, 0.5]}),
    iterations=counts([1, 2, 5]).but("falling"),
    names=names(["Au", "Ag"]),
    reference=array(SWEPT[0, 0]).but("None"),
    **LOOK,
)
entry(
    "hebt.explorers.sweep, start",
    lambda start: explorers.sweep(SWEPT, [0.25, 0.5], [1, 2, 5], start=start),
    start=argument(
        (0.5, 2),
        bad={k: v for k, v in NOTHING.items() if k != "None"}
        | {"NaN": (np.nan, 2), "elsewhere": (0.3, 2), "one": (0.5,), "a number": 0.5},
        same={"a list": ([0.5, 2], (0.5, 2)), "numpy's": (np.array([0.5, 2]), (0.5, 2))},
    ),
)
IDENTIFIER = text("a").but(refused={"two words": "a b", "a keyword": "for", "no word": ""})
DEPENDS = argument(
    ("a", "b"),
    bad={
        "one text": "ab",
        "a set": {"a", "b"},
        "numbers": (1, 2),
        "a number": 3,
        "a function": len,
    },
    same={"a list": (["a", "b"], ("a", "b"))},
)
FORMAT = argument(
    ".2f",
    bad={"no format": "zz", "a number": 3, "a list": [], "an object": object(), "bytes": b".2f"},
)
TITLE = text("Title")
entry(
    "hebt.explorers.Control",
    explorers.Control,
    name=IDENTIFIER,
    label=TITLE,
    values=array([0.25, 0.5, 1.0]).but(
        *ROWS, "tiny", "bool", "texts", "numbers as texts", refused={"twice the same": [0.5, 0.5]}
    ),
    unit=text("nm"),
    format=FORMAT,
)
entry(
    "hebt.explorers.Control, default",
    lambda default: explorers.Control("a", "A", [0.25, 0.5, 1.0], default),
    default=number(0.5, 0.3, 2).but("None"),
)
SLIDER = explorers.Control("value", "A", [0.25, 0.5, 1.0])
entry("hebt.explorers.Control.index", SLIDER.index, value=number(0.5, 0.3, 2))
entry(
    "hebt.explorers.Panel",
    explorers.Panel,
    name=IDENTIFIER,
    title=TITLE,
    limits=LIMITS,
    unit=text("nm"),
    cmap=choice("gray"),
    depends=DEPENDS,
    smooth=flag(True),
    alt=TITLE.but("None"),
)
entry(
    "hebt.explorers.Readout",
    explorers.Readout,
    name=IDENTIFIER,
    label=TITLE,
    unit=text("nm"),
    format=FORMAT,
    panel=TITLE.but("None"),
    depends=DEPENDS,
)
entry(
    "hebt.explorers.Readout.text",
    explorers.Readout("value", "A").text,
    value=number(0.5).but("NaN", "inf", "-inf", "NaN of numpy"),
)
entry(
    "hebt.explorers.Curve",
    explorers.Curve,
    name=IDENTIFIER,
    title=TITLE,
    along=text("c"),
    lines=names(["Au", "Ag"]).but("one less", "one more"),
    ylabel=TITLE,
    unit=text("nm"),
    x=array([0.25, 0.5, 1.0]).but("None", *ROWS, "tiny", refused={"falling": [1.0, 0.5, 0.25]}),
    log=choice("x").but("no word"),
    limits=LIMITS.but("None"),
    depends=DEPENDS,
    alt=TITLE.but("None"),
)
CONTROLS = (explorers.Control("value", "A", [0.25, 0.5]),)
PANELS = (explorers.Panel("image", "B", (0, 1)), explorers.Panel("other", "C", (0, 1)))
READOUTS = (explorers.Readout("number", "D"),)
CURVES = (explorers.Curve("curve", "E", "value", ["line"]),)
ITEMS = {**NOTHING, "a number": 3}


def shown(value):
    image = np.full((2, 2), value)
    curve = {"line": np.array([1.0, 2.0])}
    return {"image": image, "other": image, "number": value, "curve": curve}


def shows(**changes):
    return lambda value: shown(value) | changes


EXPLORER = explorers.FrameExplorer(shown, CONTROLS, PANELS, readouts=READOUTS, curves=CURVES)
entry(
    "hebt.explorers.FrameExplorer",
    explorers.FrameExplorer,
    compute=function(shown).but(
        refused={
            "an image with NaN": shows(image=np.full((2, 2), np.nan)),
            "a masked image": shows(image=np.ma.array(np.ones((2, 2)), mask=np.eye(2))),
            "an image of texts": shows(image=np.full((2, 2), "a")),
            "no image": shows(image=3.0),
            "a text as number": shows(number="3"),
            "a curve that is none": shows(curve=[1.0, 2.0]),
            "a curve of three points": shows(curve={"line": np.ones(3)}),
            "a curve of texts": shows(curve={"line": ["a", "b"]}),
            "nothing": lambda value: None,
            "too little": lambda value: {},
        }
    ),
    controls=argument(CONTROLS, bad=ITEMS, same={"a list": (list(CONTROLS), CONTROLS)}),
    panels=argument(PANELS, bad=ITEMS | {"controls": CONTROLS, "twice the same": PANELS * 2}),
    readouts=argument(READOUTS, bad=ITEMS | {"panels": PANELS}),
    curves=argument(CURVES, bad=ITEMS | {"panels": PANELS}),
    alt=text("{value}").but("None", refused={"an unknown name": "{b}"}),
    caption=TITLE,
    columns=COLUMNS_SHOWN,
    shared_colorbar=flag(True),
    filename=TITLE,
)
entry("hebt.explorers.FrameExplorer.move", EXPLORER.move, value=number(0.5, 0.3, 2))
MOST = count(10**6, 10)
entry(
    "hebt.explorers.Explorer.html",
    lambda max_bytes: EXPLORER.html(max_bytes=max_bytes)[:1],
    max_bytes=MOST.but("None"),
)
VIEWS = RNG.integers(0, 255, (1, 2, 4, 4, 3), np.uint8)
entry(
    "hebt.explorers.Turntable",
    explorers.Turntable,
    pictures=argument(
        {"a": VIEWS},
        bad=NOTHING
        | {"floats": {"a": VIEWS / 255}, "masked": {"a": np.ma.array(VIEWS, mask=VIEWS > 9)}}
        | {"none": {}, "one view less": {"a": VIEWS[:, :1]}, "no colors": {"a": VIEWS[..., 0]}},
        same={"Fortran's order": ({"a": VIEWS.copy("F")}, {"a": VIEWS})},
    ),
    turns=array([0.0, 90.0]).but(
        "tiny", "bool", "beyond float32", refused={"one twice": [90.0, 90.0]}
    ),
    tips=array([30.0]).but("tiny", "bool", "beyond float32", "masked in a list in a list"),
    alts=argument(
        {"a": "What is seen."}, bad={"a text": "a", "no body": {"b": "c"}, "a number": 3}
    ),
    notes=argument(
        {"a": [["Left.", "Right."]]},
        bad={"a text": "a", "no body": {"b": [["c", "d"]]}, "a number": 3}
        | {"one text less": {"a": [["Left."]]}, "no rows": {"a": ["Left.", "Right."]}},
    ),
    pixel_size=number(1.5, 0, -1).but("None"),
    key=argument(
        {"Au": "#ffc71a"}, bad={"a text": "Au", "no color": {"Au": "gold"}, "a number": 3}
    ),
    key_note=TITLE,
    spin=number(9.0, -1),
    caption=TITLE,
)
entry(
    "hebt.explorers.Turntable, cuts",
    lambda cuts: explorers.Turntable(
        {"a": np.stack([VIEWS, VIEWS])}, turns=[0, 90], tips=[30], cuts=cuts
    ),
    cuts=argument(
        ["nothing", "half"],
        bad={"a text": "nothing", "one less": ["nothing"], "a number": 3}
        | {"twice the same": ["half", "half"], "numbers": [0, 1], "none": []},
        same={"a tuple": (("nothing", "half"), ["nothing", "half"])},
    ),
)
entry(
    "hebt.explorers.Turntable, start",
    lambda start: explorers.Turntable({"a": VIEWS}, turns=[0, 90], tips=[30], start=start),
    start=argument(
        (90.0, 30.0),
        bad={k: v for k, v in NOTHING.items() if k != "None"}
        | {"elsewhere": (45.0, 30.0), "one": (90.0,), "NaN": (np.nan, 30.0), "a number": 90.0},
        same={"a list": ([90.0, 30.0], (90.0, 30.0))},
    ),
)

# --- files ---

PIXEL = number(1.5, 0, -1)


def in_float64(signal):
    signal.data = signal.data.astype(np.float64)
    return signal


entry(
    "hebt.io.to_signal",
    io.to_signal,
    data=array(MAPS).but(*COLUMNS),
    pixel_size=PIXEL,
    angles=A.but("None"),
    elements=names(["Au", "Ag"]),
    title=TITLE,
)
entry(
    "hebt.io.spectra_to_signal",
    lambda **k: in_float64(io.spectra_to_signal(**k)),  # it keeps the type of the counts
    data=array(RNG.integers(0, 9, (3, 4, 9))).but(*ROWS),
    pixel_size=PIXEL,
    energies=E.but(refused={"uneven": ENERGIES**2, "falling": ENERGIES[::-1]}),
    tilt=number(-10.0, 400),
    voltage=number(200.0, 0, -1),
    elements=names(["Au", "Ag"]).but("one less", "one more", "twice the same"),
    title=TITLE,
)
SIGNAL = io.to_signal(MAPS, pixel_size=1.5, angles=TILTS, elements=["Au", "Ag"])
entry(
    "hebt.io.from_signal",
    io.from_signal,
    signal=thing(SIGNAL, MAPS),
    angles=A.but("None"),
    pixel_size=PIXEL.but("None"),
)
CHANNELS_OF_LINES = 0.05 + 0.01 * np.arange(800)
COUNTED = dataclasses.replace(
    SERIES,
    lines=("Si_Ka", "Fe_Ka"),
    energies=CHANNELS_OF_LINES,
    spectra=RNG.poisson(20, (5, 800)).astype(float),
    windows=tuple(prepare.line_windows(CHANNELS_OF_LINES, ["Si_Ka", "Fe_Ka"])),
)
entry(
    "hebt.io.plot_lines",
    lambda series: [text.get_text() for text in io.plot_lines(series).axes[0].texts],
    series=thing(COUNTED, MAPS),
)
entry(
    "hebt.io.TiltSeries.pick",
    lambda lines: SERIES.pick(*lines),
    lines=argument(
        ("Fe_Ka",), bad={"a text": "Fe_Ka", "none": (), "another": ("Au_La",), "numbers": (1, 2)}
    ),
)
PARTICLE = io.TiltSeries.from_arrays(BLOB, BLOB[None], angles=[-30.0, 0.0, 30.0], pixel_size=1.0)
entry(
    "hebt.io.TiltSeries.remove_offset",
    PARTICLE.remove_offset,
    masks=TABLE["hebt.prepare.remove_offset"].arguments["masks"],
)
entry(
    "hebt.io.TiltSeries.correct_damping",
    PARTICLE.correct_damping,
    saturation=number(200.0, 100, 0, -1).but("None", "inf"),
)
entry(
    "hebt.io.TiltSeries.align",
    PARTICLE.align,
    size=count(12, 13, 17).but("None"),
    slices=count(12, 13, 17).but("None"),
    depth=number(6.0, 0, -1).but("None"),
    factor=count(2, 5).but("None"),
    rounds=count(1),
    progress=progress(),
)
entry("hebt.io.TiltSeries.apply_shifts", SERIES.apply_shifts, shifts=S)
entry("hebt.io.TiltSeries.turn", lambda: SERIES.turn())
entry(
    "hebt.io.TiltSeries.apply_tilt_axis",
    SERIES.apply_tilt_axis,
    axis=thing(prepare.TiltAxis(along=1, rotation=2.0), (0, 2.0)).but("None"),
    depth=number(6.0, 0, -1).but("None"),
    progress=progress(),
)
entry(
    "hebt.io.TiltSeries.normalize_tilts",
    SERIES.normalize_tilts,
    response=array([1.0, 0.5, 1.0, 1.5, 1.0]).but("None", refused={"0": [0.0, 1, 1, 1, 1]}),
)
OVERLAPPING = dataclasses.replace(
    SERIES,
    lines=("O_Ka", "Si_Ka"),
    energies=LINE_ENERGIES,
    spectra=np.ones((5, len(LINE_ENERGIES))),
    windows=tuple(LINE_WINDOWS),
)
entry("hebt.io.TiltSeries.unmix", OVERLAPPING.unmix, resolution=number(130.0, 0, -1).but("None"))
entry("hebt.io.TiltSeries.match_pixels", lambda: SERIES.match_pixels())
entry("hebt.io.TiltSeries.ratios", lambda: SERIES.ratios())
entry("hebt.io.TiltSeries.bin", SERIES.bin, factor=count(2, 3))
entry(
    "hebt.io.TiltSeries.smooth",
    SERIES.smooth,
    width=count(3, 9),
    sigma=SIGMA,
    axis=argument(
        -1,
        bad={"None": None, "a text": "text", "0": 0, "-3": -3, "twice": (-1, -1), "none": ()}
        | {"True": True, "a fraction": -1.0, "a set": {-1}},
        same={"numpy's": (np.int64(-1), -1)},
    ),
    centered=flag(False),
)
entry(
    "hebt.io.TiltSeries.crop",
    PARTICLE.crop,
    size=count(8, 9, 17).but("None"),
    slices=count(8, 9, 17).but("None"),
)
entry(
    "hebt.io.TiltSeries.crop_flat",
    SERIES.crop_flat,
    size=count(6, 7, 9),
    slices=count(2, 1, 3).but("None"),
    edge=number(2.0, 0, -1, 7.0),
)
entry(
    "hebt.io.TiltSeries.suited_method",
    SERIES.suited_method,
    fit=thing(FIT, 3.0).but("None"),
    seed=seed(1),
)
entry(
    "hebt.io.TiltSeries.reconstruct",
    SERIES.reconstruct,
    method=choice("hebt").but("None"),
    iterations=ITERATIONS.but("None"),
    ratios=R.but("None"),
)
NO_FILES = {"files": ["-1.bcf", "1.bcf"], "lines": ["O_Ka"]}
entry(
    "hebt.io.read_tilt_series",
    lambda **k: io.read_tilt_series(**NO_FILES | k),
    files=refusing(**{"one text": "1.bcf", "none": [], "a number": 3, "numbers": [1, 2]}),
    lines=refusing(**{"one text": "O_Ka", "none": [], "a number": 3, "a set": {"O_Ka"}}),
    angles=refusing(one=[1.0], NaN=[np.nan, 1.0], beyond=[-361.0, 361.0], texts=["a", "b"]),
    avoid=refusing(**{"one text": "O_Ka", "a number": 3}),
    haadf=refusing(**{"a number": 1, "a list": ["HAADF"]}),
    parts=refusing(**{"1": 1, "a text": "2", "a fraction": 2.5}),
    seed=refusing(**{"below 0": -1, "a text": "2", "a fraction": 2.5}),
    progress=refusing(**{"a text": "no", "a number": 1}),
)
STACK = io.to_signal(HAADF, pixel_size=1.5, angles=TILTS, title="HAADF")
NO_FILE = {"a number": 3, "None": None, "an array": HAADF, "none": []}
entry(
    "hebt.io.read",
    io.read,
    files=argument(STACK, bad=NO_FILE | {"spectra": 3.5, "mixed": [STACK, "a.mrc"]}),
    lines=refusing(**{"one text": "O_Ka", "a number": 3}),
    angles=A.but("None"),
    image=text("HAADF").but("None"),
    pixel_size=PIXEL.but("None"),
)
entry(
    "hebt.io.read, by what they show",
    lambda **k: io.read(**k),
    haadf=argument(STACK, bad=NO_FILE),
    maps=argument({"Au": STACK}, bad={"a text": "a.mrc", "a list": [STACK], "none": {}}),
)
entry(
    "hebt.io.read, of one file per tilt",
    lambda **k: io.read(["-1.bcf", "1.bcf"], lines=["O"], **k),
    avoid=refusing(**{"one text": "O_Ka", "a number": 3}),
    parts=refusing(**{"1": 1, "a text": "2", "a fraction": 2.5}),
    seed=refusing(**{"below 0": -1, "a text": "1"}),
    progress=refusing(**{"a text": "no", "a number": 1}),
)


def tomviz(folder):
    """Put the call that needs a file into the table."""
    path = folder / "shifts.json"
    path.write_text(json.dumps([[1.0, 2.0]] * len(TILTS)))
    entry(
        "hebt.io.read_tomviz_shifts",
        io.read_tomviz_shifts,
        path=argument(path, bad={"None": None, "a number": 3.5, "a list": []}),
        tilts=A,
        keep=array([0.0, 30.0]).but(*ROWS, refused={"no tilt": [0.0, 31.0]}),
    )


PATH = {"None": None, "a number": 3.5, "a list": [], "bytes": b"a.vti"}


def saving(folder):
    """Put the calls that write files into the table."""

    def save(path, **options):
        return [io.load(p) for p in io.save(path, **options)]

    def save_ratios(path, overwrite):
        return hebt.ResponseRatios.load(FIT.save(path, overwrite=overwrite))

    def save_result(path, overwrite):
        return [io.load(p) for p in RESULT.save(path, overwrite=overwrite)]

    path, ratios = folder / "particle.vti", folder / "ratios.json"
    over = flag(True).but("numpy's")
    about = argument({"alpha": 0.7}, bad={k: v for k, v in NOTHING.items() if k != "None"})
    entry(
        "hebt.io.save",
        save,
        path=argument(path, bad=PATH | {"another ending": folder / "a.png"}),
        x=V.but("one axis less", *COLUMNS, "Dask"),
        pixel_size=PIXEL,
        elements=names(["Au", "Ag"]),
        about=about.but("a mapping", refused={"infinite": {"a": np.inf}, "an object": {"a": len}}),
        overwrite=over,
    )
    entry(
        "hebt.io.load",
        io.load,
        path=argument(RESULT.save(path)[0], bad=PATH | {"another ending": folder / "a.png"}),
    )
    entry("hebt.ResponseRatios.save", save_ratios, path=argument(ratios, bad=PATH), overwrite=over)
    entry(
        "hebt.Result.composition",
        RESULT.composition,
        zeta_factors=R,
        kind=choice("atomic"),
        least=number(0.5, -1),
    )
    entry("hebt.Result.composition, k", RESULT.composition, k_factors=R)
    entry("hebt.Result.composition, the paper's", RESULT.composition, eds_response=R)
    entry("hebt.Result.save", save_result, path=argument(path, bad=PATH), overwrite=over)
    page = folder / "particle.html"
    entry(
        "hebt.Result.report",
        RESULT.report,
        path=argument(page, bad=PATH | {"another ending": folder / "a.png"}),
        zeta_factors=R.but("None").refused_alone(),
        kind=choice("atomic").refused_alone(),
        overwrite=over.refused_alone(),
    )
    entry(
        "hebt.Result.report, k",
        RESULT.report,
        path=argument(page),
        overwrite=argument(True),
        k_factors=R.but("None").refused_alone(),
    )
    entry(
        "hebt.Result.report, the paper's",
        RESULT.report,
        path=argument(page),
        overwrite=argument(True),
        eds_response=R.but("None").refused_alone(),
    )


# Made by functions, which check what goes into them.
# Fields of what can be made by hand that only a function fills in.
FOUND = {"hebt.prepare.TiltAxis": {"rotation_error", "offset_error", "errors"}}
RESULTS = {
    "hebt.Choice",
    "hebt.Interrupted",
    "hebt.Residuals",
    "hebt.ResponseRatios",
    "hebt.Result",
    "hebt.io.Calibrated",
    "hebt.io.TiltSeries",
    "hebt.prepare.Alignment",
    "hebt.prepare.Components",
    "hebt.prepare.Mixing",
    "hebt.prepare.Damping",
    "hebt.prepare.MatchedShifts",
    "hebt.segmentation.Segmentation",
    "hebt.validation.HeldOut",
    "hebt.validation.Judged",
}
# Called by solvers and by IPython alone, or by what has checked its arguments.
INSIDE_ONLY = {
    "hebt.History.add": "a solver writes its residuals down",
    "hebt.Projector.check_projections": "a check itself, of the shape alone",
    "hebt.explorers.Explorer": "a base of classes; traitlets check its traits",
    "hebt.explorers.Explorer.save": "as html, whose bytes it writes",
}
