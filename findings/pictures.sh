#!/usr/bin/env bash
# Pillow inverts a TIFF file whose PhotometricInterpretation is "white is zero" when it has 8 bits a pixel, and leaves the same
# picture in 16 bits or floats as it is: it comes out as a negative, in silence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'CODE'
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "tifffile", tifffile.__version__)
seen = {}
for kind, top in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)):
    values = np.zeros((16, 16), kind)
    values[:8] = top  # the upper half; with "white is zero" it is black
    for meaning in ("minisblack", "miniswhite"):
        tifffile.imwrite("x.tif", values, photometric=meaning)
        with Image.open("x.tif") as picture:
            pixels = np.asarray(picture)
            brighter = "upper" if pixels[0, 0] > pixels[15, 0] else "lower"
            seen[kind.__name__, meaning] = brighter
            print(f"{kind.__name__:8} {meaning:10} mode {picture.mode:5} the {brighter} half is the brighter one")
assert all(seen[kind, "minisblack"] == "upper" for kind in ("uint8", "uint16", "float32"))
assert seen["uint8", "miniswhite"] == "lower", "8 bits: inverted, as the file says"
assert seen["uint16", "miniswhite"] == "upper", "16 bits: Pillow heeds the tag now"
assert seen["float32", "miniswhite"] == "upper", "floats: Pillow heeds the tag now"
print("8 bits are inverted as the file says, 16 bits and floats are not")
CODE
