"""Published test vectors, read from tests/vectors; each file names its source."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "vectors"

ABANDON = "abandon " * 11 + "about"
"""The phrase of 16 zero bytes, which every wallet knows."""

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())
