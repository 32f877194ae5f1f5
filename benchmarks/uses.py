"""Measures what trained models are for, each use beside its honest baseline.

    apt install dataset-fashion-mnist
    python benchmarks/uses.py --runs FOLDER --results FILE [--only TASK …] [--minutes-scale 1]
        [--write docs/uses.md]

Each task trains what it needs for a fixed processor time, for which a short run first measures how many steps fit,
and measures on pictures or rows that were held out. Aims are those that were set before the measurement; a missed
one is shown as missed. Runs are kept in folders and results are appended to a file, so that the benchmark can be
stopped and continued.
"""

import sys
from collections.abc import Mapping

from tasks import main

# Minutes of one core: of all trainings of a task; of each for tables and features. The module of a task is
# uses_TASK.py, as `tasks.main` describes it.
TASKS: Mapping[str, float] = {
    "anomalies": 60,
    "tables": 1,
    "compression": 30,
    "denoising": 40,
    "features": 4,
    "augmentation": 40,
    "projection": 20,
}


if __name__ == "__main__":
    main(sys.argv[1:], "uses", "What trained models are for", __doc__ or "", TASKS)
