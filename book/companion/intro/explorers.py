"""The particle that turns."""

from __future__ import annotations

from hebt import explorers

from ..origins import explained
from ..particles.explorers import CLEAR, cuts, key, key_note, quick, turned
from .particle import COUNTS, TILTS, Particle

BODIES = {
    "eds": ("EDS only", "from EDS alone"),
    "hebt": ("HEBT", "by HEBT"),
    "truth": ("The truth", "as simulated"),
}
TIP = 20
SECONDS = 14.0  # of a turn


def particle_numbers(study: Particle) -> dict[str, str]:
    """Return what the first page says of the particle."""
    return {
        "first_body_gain": f"{study.gain:.1f}",
        "first_body_tilts": f"{len(TILTS)}",
        "first_body_counts": f"{COUNTS:g}",
        "first_body_size": f"{study.truth.shape[-1]}",
    }


@explained
def explore_particle(study: Particle) -> explorers.Turntable:
    """Turn the simulated particle: as it is, and as both methods reconstruct it."""
    size = study.truth.shape[-1]
    turns = tuple(range(0, 360, 72 if quick() else 6))
    width = 80 if quick() else 160
    places = {n: depth for n, depth in cuts(study.voxel, size).items() if depth in (None, 0.0)}
    volumes = {**study.density, "truth": study.truth}
    pictures, notes, alts = {}, {}, {}
    for name, (title, how) in BODIES.items():
        pictures[title], notes[title] = turned(
            volumes[name], CLEAR, turns, (TIP,), places.values(), width
        )
        alts[title] = f"A simulated silver particle with a gold octahedron inside, {how}."
    return explorers.Turntable(
        pictures,
        turns=turns,
        tips=[TIP],
        cuts=list(places),
        alts=alts,
        notes=notes,
        pixel_size=study.voxel * size / width,
        key=key(CLEAR),
        key_note=key_note(CLEAR),
        spin=SECONDS,
        caption=f"A simulated particle of {size} voxels along a side, from {len(TILTS)} tilts. "
        "Each method stopped where its own error is least. Below each: how much of the outline is "
        "yellow; on the cut face, the share of Au in the density, and the standard deviation of "
        "the density over its mean, away from the edge.",
    )
