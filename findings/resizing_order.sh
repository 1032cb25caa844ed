#!/usr/bin/env bash
# Pillow 13 resizes a picture that grows one way and shrinks the other in another order of passes than Pillow 12, and gives other
# bytes (up to tens of 255 with Lanczos or bicubic): pictures that went through Image.resize are not the same in both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 12.0.0 13.0.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version" numpy==2.3.5
    "$work/$version/bin/python" - "$work/$version.npy" <<'PY'
import sys
import numpy as np
import PIL
from PIL import Image

random = np.random.default_rng(0)
shown = random.integers(0, 2, (31, 34, 3), dtype=np.uint8) * 255
done = [np.asarray(Image.fromarray(shown).resize((72, 17), kind)) for kind in (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC)]
np.save(sys.argv[1], np.stack(done))
print("Pillow", PIL.__version__, "34 x 31 to 72 x 17, first row of red with Lanczos:", done[0][0, :8, 0].tolist())
PY
done
"$work/13.0.0/bin/python" - "$work" <<'PY'
import sys
import numpy as np

one, other = (np.load(f"{sys.argv[1]}/{version}.npy").astype(int) for version in ("12.0.0", "13.0.0"))
apart = np.abs(one - other).max(axis=(1, 2, 3)).tolist()
print("largest difference of a byte with Lanczos and bicubic:", apart)
sys.exit(0 if min(apart) > 1 else 1)
PY
