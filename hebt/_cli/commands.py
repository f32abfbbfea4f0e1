"""The commands: what files hold, their X-ray lines, volumes from them, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import __version__
from .data import data
from .group import Group, say, table


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Completion of names and options by the shell: bash, eval "
    '"$(_HEBT_COMPLETE=bash_source hebt)" in ~/.bashrc; zsh_source and fish_source likewise.',
)
@click.version_option(__version__, prog_name="hebt", message="%(prog)s %(version)s")
def hebt() -> None:
    """HAADF-EDS bimodal tomography: where each chemical element sits in a nanoparticle, in 3D.

    From the microscope's files to volumes:

    \b
      hebt info tilts/
      hebt lines tilts/ --lines Au,Ag
      hebt reconstruct tilts/ --lines Au,Ag --remove-offset --align --bin 2 -o particle.vti
      hebt report particle.vti

    FILES are one file per tilt, with HAADF image and EDS spectrum image (Bruker .bcf, Velox .emd,
    JEOL .asw and .pts, Oxford .h5oina, Gatan .dm3 and .dm4, HyperSpy .hspy and .zspy), or stacks of
    HAADF images and ready-made maps (.mrc, .ali, .st, .tif), whose names say what each shows: a
    folder, a pattern in quotes, or the files; or arrays in one .npz.

    Exit codes: 0; 1 after an error; 2 where the command is wrong; 130 after Ctrl-C.
    """


def _split(ctx: click.Context, option: click.Parameter, value: Any) -> list[str] | None:
    """Return the names in "Au,Ag", or given one by one."""
    return [n for text in value for n in text.replace(",", " ").split()] or None


def _angles(ctx: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Return degrees, or what hebt.io.read takes in their place."""
    if value is None or value in ("names", "stage") or Path(value).expanduser().is_file():
        return value if value in (None, "names", "stage") else Path(value)
    try:
        return [float(v) for v in value.replace(",", " ").split()]
    except ValueError:
        raise click.BadParameter(
            f'{value!r} is no file; expected one, or "names", "stage", or degrees: -60,-30,0,30.'
        ) from None


def _lengths(ctx: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Return the numbers in "297,24", or None."""
    if value is None:
        return None
    found = [int(n) if n.isdecimal() else 0 for n in value.replace(",", " ").split()]
    if len(found) not in (1, 2) or min(found) < 1:
        raise click.BadParameter(f"{value!r} is no SIZE nor SIZE,SLICES; expected pixels: 200,60.")
    return found


def _named(ctx: click.Context, option: click.Parameter, value: tuple[str, ...]) -> Any:
    """Return the files in "Au=a.mrc" by their elements."""
    strange = [text for text in value if not all(text.partition("="))]
    if strange:
        raise click.BadParameter(f"{strange[0]!r} is no ELEMENT=FILE, such as Au=a.mrc.")
    return {text.partition("=")[0]: text.partition("=")[2] for text in value} or None


_STACKS = click.argument("files", nargs=-1, metavar="[FILES]...")
_HAADF = click.option(
    "--haadf",
    metavar="FILE",
    help="HAADF images that are not in FILES: a stack, or one file per tilt.",
)
_MAPS = click.option(
    "--map",
    "maps",
    multiple=True,
    callback=_named,
    metavar="ELEMENT=FILE",
    help="A stack of an element's maps, not in FILES: Au=a.mrc.",
)
_FILES = click.argument("files", nargs=-1, required=True, metavar="FILES...")
_ANGLES = click.option(
    "--angles",
    callback=_angles,
    metavar="FILE",
    help="Tilts: a file of them, degrees with commas, or where they are: names, stage.",
)
_IMAGE = click.option(
    "--image", metavar="NAME", help="Title of the HAADF image, if it is not called HAADF or ADF."
)
_LINES = click.option(
    "--lines",
    "-l",
    multiple=True,
    callback=_split,
    metavar="LINES",
    help="X-ray lines or elements to map: Au_La,Ag.",
)
_AVOID = click.option(
    "--avoid",
    multiple=True,
    callback=_split,
    metavar="LINES",
    help="Other lines to keep backgrounds clear of: Cu_Ka.",
)
_PIXEL_SIZE = click.option(
    "--pixel-size", type=float, metavar="NM", help="In nm, in place of what stacks say."
)
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace what is there already.")


# arguments of hebt.io.read, and methods of the series in their order
_READING = ("files", "haadf", "maps", "lines", "avoid", "angles", "image", "pixel_size", "parts")
_STEPS = ("turn", "remove_offset", "match_pixels", "align")


def _one(files: tuple[str, ...], haadf: Any = None, maps: Any = None) -> str | list[str] | None:
    """Return what hebt.io.read calls files."""
    if bool(files) == (maps is not None) or not (files or haadf):
        raise click.UsageError("Give FILES, or --haadf and --map: one of both.")
    return (files[0] if len(files) == 1 else list(files)) if files else None


hebt.add_command(data)


@hebt.command()
@_STACKS
@_HAADF
@_MAPS
@_ANGLES
@_IMAGE
@_PIXEL_SIZE
def info(
    files: tuple[str, ...],
    haadf: str | None,
    maps: dict[str, str] | None,
    angles: Any,
    image: str | None,
    pixel_size: float | None,
) -> None:
    """Say what FILES hold: images, tilts, pixel size, elements and counts, or what is missing."""
    from ..io.reading import read
    from ..io.survey import first_file, is_per_tilt, survey

    given = _one(files, haadf, maps)
    if given is not None:
        found, signals = first_file(given)
        click.echo(f"{len(found)} file{'s' * (len(found) > 1)}; {found[0].name} holds")
        for signal in signals:
            click.echo(f"  {_described(signal)}")
        if is_per_tilt(found[0], signals):
            del signals
            click.echo(survey(given, angles, image))
            say("Next: hebt lines")
            return
    series = read(given, haadf=haadf, maps=maps, angles=angles, image=image, pixel_size=pixel_size)
    click.echo(series)
    totals = [
        [name, f"{maps.sum(dtype=float):.0f}", f"{maps.mean(dtype=float):.3g}"]
        for name, maps in zip(series.elements, series.maps)
    ]
    if totals:
        click.echo(table(["map", "counts", "a pixel"], totals))
    else:
        say("Element maps are missing; hebt reconstruct needs them.")
    if series.pixel_size is None:
        say("The pixel size is missing; hebt reconstruct needs it: --pixel-size NM.")


def _described(signal: Any) -> str:
    shape = " x ".join(map(str, signal.shape))
    spectra = signal.kind.startswith("EDS")
    what = {0: "a value", 1: "values", 2: "an image", 3: "a stack of images", 4: "stacks of images"}
    if spectra:
        what |= {1: "an EDS spectrum", 3: "an EDS spectrum image"}
    elif signal.kind == "EELS":
        what |= {1: "an EELS spectrum", 3: "an EELS spectrum image"}
    tilt = "" if signal.tilt is None else f", stage at {round(signal.tilt, 2) + 0:g} degrees"
    size = f" of {shape}" if shape else ""
    return f"{signal.title!r}: {what.get(len(signal.shape), 'an array')}{size}{tilt}"


_PICTURES = (".png", ".svg", ".pdf", ".html", ".htm")


def _picture(ctx: click.Context, option: click.Parameter, value: str | None) -> Path | None:
    """Return where a picture is to be written, before files are read for it."""
    if value is not None and Path(value).suffix.lower() not in _PICTURES:
        raise click.BadParameter(f"{value!r}; expected a name that ends in .png, .svg, .html.")
    return None if value is None else Path(value).expanduser()


@hebt.command()
@_FILES
@_LINES
@_AVOID
@_ANGLES
@_IMAGE
@click.option(
    "--output",
    "-o",
    callback=_picture,
    metavar="FILE",
    help="Also draw the spectrum with its windows: .png, .svg, .pdf, or .html with the table.",
)
@_OVERWRITE
def lines(
    files: tuple[str, ...],
    lines: list[str] | None,
    avoid: list[str] | None,
    angles: Any,
    image: str | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Say which X-ray lines the spectra of FILES show, or with --lines, what their windows count.

    Counts are those of all tilts, less the background under the line, with their standard
    deviation. An element is listed at the line that its name stands for, if that stands 5 standard
    deviations above the background. The peak may be another element's: the last column names lines
    of the others that lie there and have, by their tabulated weight, a tenth of its counts.
    """
    from .._files import refuse_existing
    from .._lines import rows, supported_windows, written
    from ..io.survey import survey
    from ..prepare.windows import line_windows

    if output is not None and not overwrite:
        refuse_existing(output)
    spectra = survey(_one(files), angles, image, alone=True)
    if lines is None:
        windows = supported_windows(spectra)
    else:
        windows = line_windows(
            spectra.energies, lines, avoid=avoid or (), resolution=spectra.resolution
        )
    if not windows:
        raise ValueError("no line stands above the background; expected X-ray counts of some.")
    head = ["line", "keV", "window", "counts", "error", "may hold"]
    click.echo(table(head, rows(spectra, windows)))
    if output is not None:
        written(output, spectra, windows, overwrite)
        say(f"Drawn: {output}")


@hebt.command()
@_STACKS
@_HAADF
@_MAPS
@click.option("--output", "-o", required=True, metavar="FILE", help="Where to write the volumes.")
@_LINES
@_AVOID
@_ANGLES
@_IMAGE
@_PIXEL_SIZE
@click.option(
    "--parts",
    type=int,
    metavar="N",
    help="Split the counts of spectra at random, so that auto can hold some out.",
)
@click.option("--turn", is_flag=True, help="Turn all images: the tilt axis is horizontal.")
@click.option("--remove-offset", is_flag=True, help="Take the detector's black level off HAADF.")
@click.option("--match-pixels", is_flag=True, help="Bring HAADF to the pixels of the maps.")
@click.option("--align", is_flag=True, help="Find the shifts between tilts, and take them out.")
@click.option(
    "--crop",
    callback=_lengths,
    metavar="SIZE[,SLICES]",
    help="Keep the middle: pixels across the tilt axis, and along it.",
)
@click.option(
    "--crop-flat",
    "strip",
    type=int,
    metavar="PIXELS",
    help="Keep a strip of this width, for a flat specimen that leaves the field.",
)
@click.option("--bin", "factor", type=int, metavar="N", help="Make N x N pixels one.")
@click.option(
    "--method",
    type=click.Choice(["auto", "hebt", "composition-em", "fused", "guided-tv"]),
    default="auto",
    show_default=True,
    help="auto: the one that suits the data.",
)
@click.option("--alpha", type=float, help="Weight of HAADF, for hebt: 0.7 if not given.")
@click.option("--kernel", type=float, metavar="PIXELS", help="Width, for composition-em.")
@click.option("--strength", type=float, help="Of the penalty, for guided-tv.")
@click.option("--iterations", type=int, metavar="N", help="How many; else the method's own.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option("--start", metavar="FILE", help="Go on from what an interrupted call kept there.")
@click.option("--anew", is_flag=True, help="Begin anew, though an interrupted call could go on.")
@_OVERWRITE
def reconstruct(**options: Any) -> None:
    """Reconstruct the elements in FILES, and write their volumes.

    The ending of FILE says for which program: .vti (ParaView), .ome.tif (Fiji), .mrc (IMOD,
    ChimeraX), .hspy (HyperSpy) or .ome.zarr (napari). It also holds the response ratios, the
    settings, the steps, and a hash of each file that was read.

    Steps are done in this order: --turn, --remove-offset, --match-pixels, --align,
    --crop, --crop-flat, --bin. After Ctrl-C the volumes so far are in a file of their own,
    particle.interrupted.vti. The same call goes on from there, and removes that file once the whole
    volumes are written. Ctrl-C ends a run after its iteration, a second one at once.
    """
    from .run import run

    reading = {name: options.pop(name) for name in _READING}
    reading["files"] = _one(*(reading[name] for name in ("files", "haadf", "maps")))
    reading["avoid"] = reading["avoid"] or ()
    steps = [name for name in _STEPS if options.pop(name)]
    for path in run(reading=reading, steps=steps, **options):
        click.echo(path)


@hebt.command()
@click.argument("file", metavar="FILE")
@click.option("--output", "-o", metavar="FILE", help="Where to write; else as FILE, with .html.")
@click.option("--zeta-factors", metavar="NUMBERS", help="For the composition: 1200,900.")
@_OVERWRITE
def report(file: str, output: str | None, zeta_factors: str | None, overwrite: bool) -> None:
    """Write a report on saved volumes, FILE, as one HTML file that any browser shows."""
    from ..io.volumes import load

    factors = None
    if zeta_factors is not None:
        try:
            factors = [float(v) for v in zeta_factors.replace(",", " ").split()]
        except ValueError:
            raise click.BadParameter(
                f"{zeta_factors!r} are no numbers; expected one for each element.",
                param_hint="--zeta-factors",
            ) from None
    path = Path(file)
    name = path.name.replace(".ome.", ".")
    target = output or path.with_name(name).with_suffix(".html")
    click.echo(load(file).report(target, zeta_factors=factors, overwrite=overwrite))
