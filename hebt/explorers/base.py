"""One definition of an interactive figure for two hosts: a Jupyter kernel and a static page."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import os
import pathlib
import struct
import zlib
from typing import Any

import anywidget
import traitlets

from .._checks import check_count
from .._files import written_aside


def read(name: str) -> str:
    """Return the text of a script or style that lies beside this module."""
    return pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8")


# what scripts of explorers draw with, and their look
DRAW = read("draw.js") + read("elements.js")
CSS = read("frames.css")
_HOST = read("static_host.js")
_FOLDER = "_explorers"  # where a built book serves the files of `HEBT_STATIC_FILES`
_FILES_FROM = 400_000  # characters; below this, files of their own are not worth a request
_FILES_MOST = 40_000_000  # characters in files of one explorer
_counter = itertools.count(1)


def is_static() -> bool:
    """Say whether explorers render for a page without a kernel (``HEBT_STATIC=1``)."""
    return os.environ.get("HEBT_STATIC") == "1"


def _files():
    return os.environ.get("HEBT_STATIC_FILES")


class Lazy(bytes):
    """Bytes that a static page unpacks, or fetches, only when they are needed."""


class Explorer(anywidget.AnyWidget):
    """An interactive figure with one definition for JupyterLab and for a static page.

    With a kernel it is an ordinary anywidget. With ``HEBT_STATIC=1`` it opens no connection and
    its output is HTML that holds a first picture (a PNG, seen without JavaScript too), its data
    and its script. That HTML asks no server for anything and works from ``file://``.

    A subclass sets ``_esm`` and ``_css`` (text) and its synchronised traits, and gives `poster`
    and `describe`. Bytes anywhere in a trait's value reach the script as a DataView in both
    hosts. What only the static page needs comes from `static_state`. Everything these need has to
    be in place before ``super().__init__()``, which for a static page computes the whole output:
    IPython swallows errors of outputs, and a broken explorer must fail its cell.

    Notes
    -----
    If ``HEBT_STATIC_FILES`` names a folder, large blocks of data are written there as small
    script files, named after their content, and loaded on demand; whoever sets it copies the
    folder to ``_explorers`` at the root of the pages. Script files load from ``file://`` too.
    """

    caption = traitlets.Unicode("").tag(sync=True)
    max_bytes = 8_000_000

    def __init__(self, **traits):
        super().__init__(**traits)
        self._content = None
        if is_static():
            self._content = self._collect(self.max_bytes, _files())
            self.observe(self._forget)

    def _forget(self, change):
        self._content = None

    def open(self) -> None:
        """Connect to the kernel's front end; nothing while a static page is built."""
        if not is_static():
            super().open()

    def poster(self) -> bytes:
        """Return the picture that stands where no script runs, as PNG on an opaque background.

        Returns
        -------
        bytes
            The picture as PNG.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define poster().")

    def describe(self) -> str:
        """Return the alternative text of that picture.

        Returns
        -------
        str
            What is seen, for those who cannot see it.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define describe().")

    def static_state(self) -> dict:
        """Return what the script of a static page needs beyond the synchronised traits.

        Returns
        -------
        dict
            Names and values that can be written as JSON, or bytes.
        """
        return {}

    def html(self, *, max_bytes: int | None = None) -> str:
        """Return the explorer, at its present state, as HTML that needs no kernel and no server.

        Parameters
        ----------
        max_bytes
            The most bytes that the data may take after compression; 8 MB if not given.

        Returns
        -------
        str
            A piece of HTML with scripts, styles and data inside.

        Raises
        ------
        ValueError
            If the data take more. The message says what to do.
        """
        most = self.max_bytes if max_bytes is None else check_count("max_bytes", max_bytes)
        return self._wrap(*self._collect(most, _files()))

    def _collect(self, most, folder):
        """Return the data as JSON, and the first picture as PNG."""
        blobs: list[bytes] = []
        state = {
            name: _pack(getattr(self, name), blobs)
            for name in sorted(self.trait_names(sync=True))
            if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
        }
        state |= {name: _pack(value, blobs) for name, value in self.static_state().items()}
        blobs = self._place(blobs, most, folder)
        return _json({"esm": str(self._esm), "state": state, "blobs": blobs}), self.poster()

    def _wrap(self, data, png):
        width, height = struct.unpack(">II", png[16:24])
        alt = html.escape(self.describe())
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        # content and a counter: equal in every build, and unique where pages are joined
        name = f"hebt-{next(_counter)}-{hashlib.sha256(data.encode()).hexdigest()[:8]}"
        return (
            f'<div class="hebt-explorer" id="{name}">\n'
            f"<style>{_safe(str(getattr(self, '_css', '')))}</style>\n"
            f'<figure class="hebt-poster"><img class="dark-light" alt="{alt}" '
            f'width="{width}" height="{height}" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}">{caption}'
            '<noscript><p class="hebt-note">This is the figure\'s first picture. Its sliders need '
            "JavaScript.</p></noscript></figure>\n"
            f'<script type="application/json">{data}</script>\n'
            f'<script type="module" async>{_safe(_HOST)}\nmount("{name}");</script>\n'
            "</div>"
        )

    def save(self, path: str | os.PathLike, *, max_bytes: int = 100_000_000) -> pathlib.Path:
        """Write the explorer as one HTML file that any recent browser opens, without a kernel.

        Parameters
        ----------
        path
            The file to write, such as ``"explorer.html"``. One that is there already is replaced
            once the new one is whole.
        max_bytes
            The most bytes that the data may take after compression.

        Returns
        -------
        pathlib.Path
            The path written.

        Raises
        ------
        ValueError
            If the data take more than `max_bytes`.
        """
        max_bytes = check_count("max_bytes", max_bytes)
        path = pathlib.Path(path).expanduser()
        text = (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.caption or type(self).__name__)}</title>"
            "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;"
            "max-width:60rem;margin:1.5rem auto;padding:0 1rem}</style></head>\n"
            f"<body>\n{self._wrap(*self._collect(max_bytes, None))}\n</body>\n</html>\n"
        )
        with written_aside(path) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        return path

    def _place(self, blobs, most, folder):
        """Return the blobs as base64 text or, where there is a folder, large ones as files."""
        texts = [base64.b64encode(zlib.compress(blob, 9)).decode() for blob in blobs]
        lazy = sum(len(t) for b, t in zip(blobs, texts) if isinstance(b, Lazy))
        files = bool(folder) and lazy >= _FILES_FROM
        size = sum(map(len, texts))
        for part, taken, limit in (
            ("in the page", size - files * lazy, most),
            ("in files", files * lazy, _FILES_MOST),
        ):
            if taken > limit:
                raise ValueError(
                    f"The data of this explorer take {taken / 1e6:.1f} MB {part} after "
                    f"compression; expected at most {limit / 1e6:.1f} MB (max_bytes). "
                    f"{self._advice()}"
                )
        if not files:
            return texts
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        placed: list[str | dict[str, str]] = []
        for blob, text in zip(blobs, texts):
            if not isinstance(blob, Lazy):
                placed.append(text)
                continue
            key = hashlib.sha256(text.encode()).hexdigest()[:20]
            with written_aside(folder / f"{key}.js") as part:
                part.write_text(f'(self.hebtBlocks??={{}})["{key}"]="{text}"\n', encoding="ascii")
            placed.append({"file": f"{_FOLDER}/{key}.js", "key": key})
        return placed

    def _advice(self) -> str:
        return "Show fewer or smaller pictures, or raise max_bytes."

    def _repr_mimebundle_(self, **kwargs):
        plain = {"text/plain": f"{type(self).__name__}: {self.describe()}"}
        if is_static():
            if self._content is None:
                self._content = self._collect(self.max_bytes, _files())
            return {**plain, "text/html": self._wrap(*self._content)}, {}
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        # a saved notebook shows the picture where no widget can run
        picture = {"image/png": base64.b64encode(self.poster()).decode()}
        return {**(data or {}), **plain, **picture}, metadata


def _pack(value, blobs):
    """Return `value` with all bytes in it moved to `blobs` and replaced by their place there."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        blobs.append(value if isinstance(value, Lazy) else bytes(value))
        return {"$load" if isinstance(value, Lazy) else "$bytes": len(blobs) - 1}
    if isinstance(value, dict):
        return {key: _pack(v, blobs) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(v, blobs) for v in value]
    return value


def _json(value: Any) -> str:
    """JSON that nothing in an HTML script element can end early."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _safe(text: str) -> str:
    """Refuse script or style text that would end its own HTML element."""
    if "</s" in text.lower() or "<!--" in text:
        raise ValueError("A script or style of an explorer holds '</s' or '<!--'; reword it.")
    return text
