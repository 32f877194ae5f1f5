"""Tests the doctor on restorations that fail for a known reason and on healthy ones.

    python benchmarks/restoration_doctor.py --runs FOLDER --cifar10 ZIP --faces ZIP --natural ZIP [--only KIND …]
        [--half HALF] [--write docs/restoration-doctor.md]

As `benchmarks/doctor.py`.
"""

import sys

from induced import main
from restoration_failures import TRIAL

if __name__ == "__main__":
    main(sys.argv[1:], "restoration", "The doctor, tested on restorations", __doc__ or "", TRIAL)
