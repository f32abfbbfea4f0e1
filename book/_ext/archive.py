"""The built pages as one file to keep: ``python book/_ext/archive.py _build/html book.zip``.

Unpacked, ``index.html`` opens from disk, without a server and without a network. Two archives of
the same pages are equal byte for byte.
"""

import sys
import zipfile
from pathlib import Path

from hebt._files import written_aside

LEFT_OUT = {".buildinfo", ".nojekyll", ".made-by-make"}
README = """HAADF-EDS bimodal tomography: the pages of the HEBT companion

Open index.html in a browser. Everything works from here, without a server and without a network.
Executed notebooks lie in notebooks/, and how long each chapter ran stands in runtimes.json.

Text: CC BY 4.0. Code: GPL-3.0-or-later.
"""


def write(pages: Path, target: Path) -> int:
    """Pack the built pages into `target`; gives the number of files.

    Parameters
    ----------
    pages
        The folder of the built pages.
    target
        The zip file to write. Its name without ``.zip`` is the folder that it unpacks to.

    Raises
    ------
    FileNotFoundError
        If there are no pages.
    """
    if not (pages / "index.html").is_file():
        raise FileNotFoundError(f"{pages} holds no index.html; build the pages first: make book.")
    files = sorted(p for p in pages.rglob("*") if p.is_file() and p.name not in LEFT_OUT)
    with written_aside(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in [("README.txt", README.encode())] + [
            (path.relative_to(pages).as_posix(), path) for path in files
        ]:
            # a time of its own would make each archive another one
            entry = zipfile.ZipInfo(f"{target.stem}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            data = content if isinstance(content, bytes) else content.read_bytes()
            packed.writestr(entry, data)
    return len(files)


if __name__ == "__main__":
    folder, file = map(Path, sys.argv[1:])
    count = write(folder, file)
    print(f"{count} files are in {file}: unpack it, and open index.html.")
