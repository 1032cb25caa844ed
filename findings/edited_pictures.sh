#!/usr/bin/env bash
# datasets: a picture that Pillow opened from a file and that was then changed in place is stored as it is in the file. What was
# drawn, pasted, put or shrunk into it is lost, in silence, also when Dataset.map hands the changed picture back.
#
# One would guess that the pixels of the Image object are stored. But encode_pil_image (datasets/features/image.py) looks for
# the attribute "filename", which Image.open sets and methods that work in place keep, and stores that path instead. The class's
# documentation lists "PIL.Image.Image: PIL image object" among what can be stored and says nothing of it. Methods that return a
# new picture (rotate, crop, resize, copy) lose the attribute, so they work, and so does every change of a picture held as bytes.
#
# Who makes questions of own pictures for GRPO, masks a patch by ImageDraw, pastes tiles in another order or hides a region, gets a
# data set of untouched pictures: the answer to "what is hidden here?" is in plain sight, and "what was changed?" has no
# answer. Call copy() before anything is changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$folder"
export HF_HOME="$folder/home"
"$folder/venv/bin/python" - <<'CODE'
import datasets
import numpy as np
import PIL
from datasets import Dataset, Features
from PIL import Image, ImageDraw

print("datasets", datasets.__version__, "Pillow", PIL.__version__)
datasets.disable_progress_bars()
COLUMN = Features({"image": datasets.Image()})
Image.new("RGB", (64, 64), "white").save("white.png")


def masked(picture):
    """Hide the left half, in place."""
    ImageDraw.Draw(picture).rectangle((0, 0, 31, 63), fill="black")
    return picture


def pasted(picture):
    picture.paste(Image.new("RGB", (64, 32), "black"), (0, 0))
    return picture


def shrunk(picture):
    picture.thumbnail((16, 16))
    return picture


def told(picture):
    return picture.size, round(float(np.asarray(picture).mean()), 1)


for change in (masked, pasted, shrunk):
    for copied in (False, True):
        picture = Image.open("white.png")
        picture = change(picture.copy() if copied else picture)
        stored = Dataset.from_dict({"image": [picture]}, features=COLUMN)[0]["image"]
        print(f"{change.__name__:7} copy() first: {copied!s:5}  given {told(picture)}  stored {told(stored)}")
        if copied:
            assert told(stored) == told(picture)
        else:
            assert told(stored) == ((64, 64), 255.0) != told(picture), "pictures changed in place are stored as they are now"

files = Dataset.from_dict({"image": ["white.png"]}, features=COLUMN)
with open("white.png", "rb") as file:
    held = Dataset.from_dict({"image": [{"bytes": file.read(), "path": None}]}, features=COLUMN)
means = {}
for name, source in (("files", files), ("bytes", held)):
    hidden = source.map(lambda row: {"image": masked(row["image"])})
    means[name] = told(hidden[0]["image"])[1]
    print(f"map over pictures held as {name}: the half that is hidden leaves a mean of {means[name]}, 127.5 where it is hidden")
assert means == {"files": 255.0, "bytes": 127.5}, "map stores what it is handed now"
print("what was changed in place in a picture from a file is not stored")
CODE
