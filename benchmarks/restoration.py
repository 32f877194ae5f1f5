"""Measures models that restore pictures, beside interpolation and published figures.

    python benchmarks/restoration.py --runs FOLDER --results FILE [--only TASK …] [--minutes-scale 1]
        [--write docs/restoration.md]

Models are trained on yang91 and bsd200, 291 pictures, for a fixed processor time, for which a short run first
measures how many steps fit, and measured on Set5, all of `shared/data/super-resolution.zip` beside the repository;
those that fill holes on CIFAR-10, `cifar10.zip` there.
Aims are those that were set before the measurement; a missed one is shown as missed. Runs are kept in folders and
results are appended to a file, so that the benchmark can be stopped and continued.
"""

import sys
from collections.abc import Mapping

from tasks import main

# Minutes of one core: ten and sixty minutes of two cores are twice as many. The module of a task is
# restoration_TASK.py, as `tasks.main` describes it.
TASKS: Mapping[str, float] = {
    "bicubic": 0,
    "fsrcnn": 20,
    "edsr": 120,
    "edsr_briefly": 20,
    "perceptual": 120,
    "inpainting": 60,
    "repaint": 20,
    "speed": 0,
}

if __name__ == "__main__":
    main(sys.argv[1:], "restoration", "Restoration", __doc__ or "", TASKS)
