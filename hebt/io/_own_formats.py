"""What RosettaSciIO does not read, for `_child.py`: Oxford's ``.h5oina`` and NumPy's ``.npz``.

Each reader gives what RosettaSciIO's do: a dictionary for each signal. Imports of `hebt` have no
place here, as the child process runs without the package.
"""

import numpy as np


def h5oina_reader(path):
    """Return the electron images, EDS maps and spectrum images of AZtec's export.

    Written by the public specification, versions 1 to 8 (H5OINA, Oxford Instruments
    NanoAnalysis). Spectra are there from version 7 on; those of several detectors are added up.
    """
    import h5py

    signals = []
    with h5py.File(path, "r") as file:
        for name in _texts(file["Index"]):
            acquisition = file[name]
            techniques = [k for k in acquisition if k == "EDS" or k.removeprefix("EDS").isdigit()]
            every = [_eds(acquisition[k]) for k in techniques]
            signals += _added_up([found for found in every if found is not None])
            for technique in techniques:
                group = acquisition[technique]
                for kind in ("Window Integral", "Peak Area"):
                    if kind in group["Data"]:
                        signals += [
                            _image(group, data, k) for k, data in group["Data"][kind].items()
                        ]
            if "Electron Image" in acquisition:
                group = acquisition["Electron Image"]
                for kind in ("SE", "BSE", "FSE"):
                    if kind in group["Data"]:
                        images = group["Data"][kind].items()
                        signals += [_image(group, data, f"{k} ({kind})") for k, data in images]
    return signals


def _texts(dataset):
    values = np.ravel(dataset[()])
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _value(group, name):
    """Return the one number of a header's entry; None where it has none."""
    return float(np.ravel(group["Header"][name][()])[0]) if name in group["Header"] else None


def _place(group):
    """Return the cells down and across, their axes, and what is known of the stage."""
    shape = tuple(int(_value(group, f"{name} Cells")) for name in "YX")
    axes = [
        {"name": n.lower(), "scale": _value(group, f"{n} Step"), "offset": 0.0, "units": "µm"}
        for n in "YX"
    ]
    stage, header = {}, group["Header"]
    if "Stage Position" in header and "Tilt" in header["Stage Position"]:
        tilt = float(np.ravel(header["Stage Position"]["Tilt"][()])[0])
        stage = {"Stage": {"tilt_alpha": float(np.rad2deg(tilt))}}
    return shape, axes, {"Acquisition_instrument": {"TEM": stage}}


def _cells(data, shape, name):
    """Return the values of the cells as rows and columns."""
    values = data[()]
    count = shape[0] * shape[1]
    if values.shape[0] != count:
        raise ValueError(f"{name!r} has {values.shape[0]} cells; its header says {count}")
    return values.reshape(*shape, *values.shape[1:])


def _image(group, data, title):
    shape, axes, known = _place(group)
    values = _cells(data, shape, title)
    image = values.reshape(shape) if values.size == shape[0] * shape[1] else values
    axes = [{**axis, "navigate": False} for axis in axes]
    return {"data": image, "axes": axes, "metadata": {**known, "General": {"title": title}}}


def _eds(group):
    if "Spectrum" not in group["Data"]:
        return None
    shape, axes, known = _place(group)
    axes = [{**axis, "navigate": True} for axis in axes]
    energy = {"name": "Energy", "units": "eV", "navigate": False}
    energy |= {"scale": _value(group, "Channel Width"), "offset": _value(group, "Start Channel")}
    metadata = {**known, "General": {"title": "EDS"}, "Signal": {"signal_type": "EDS_TEM"}}
    data = _cells(group["Data"]["Spectrum"], shape, "Spectrum")
    return {"data": data, "axes": [*axes, energy], "metadata": metadata}


def _added_up(every):
    """Return the spectrum images of one scan, added up where detectors are calibrated alike."""
    alike = every and all(
        e["axes"] == every[0]["axes"] and e["data"].shape == every[0]["data"].shape for e in every
    )
    if not alike or len(every) == 1:
        return every
    kind = np.result_type(*(e["data"].dtype for e in every))
    # whole numbers stay whole beyond what their own type holds; others are not cut
    total = every[0]["data"].astype(np.int64 if kind.kind in "iub" else kind)
    for other in every[1:]:
        total += other["data"]
    return [{**every[0], "data": total}]


def npz_reader(path):
    """Return each array of a file as a signal that is called by its name."""
    signals = []
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            data = file[name]
            axes = [{"name": "", "navigate": False}] * data.ndim
            signals.append({"data": data, "axes": axes, "metadata": {"General": {"title": name}}})
    return signals


READERS = {"h5oina": h5oina_reader, "npz": npz_reader}
