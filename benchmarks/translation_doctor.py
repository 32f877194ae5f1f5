"""Tests the doctor on translations that fail for a known reason and on healthy ones, and on checkerboards.

    python benchmarks/translation_doctor.py --runs FOLDER --cifar10 ZIP --horses ZIP --faces ZIP [--only KIND …]
        [--write docs/translation-doctor.md]

As `benchmarks/doctor.py`: each run is trained once into FOLDER, then its history is replayed to the doctor line
by line; a finding counts from the step at which it is made. A failing run is found if the doctor makes a finding
that is right for its cause; a healthy run is flagged if it makes any. All runs are tiny: 16 pixels, for
checkerboards 32, a width of 8 and a few hundred steps. The runs of even seeds were used for tuning, and both
halves have the same causes on the same data, so that the other half is no test on other data. After the first
trial, in which 30 of 34 failing runs were found and 4 of 18 healthy ones flagged, two thresholds were changed:
translations that a classifier recognises by chance only ignore their domain, whatever the label changes; and a
checkerboard pattern counts from 3 grey levels on, not 2, which flagged both runs of sngan. Learning rates that
are too high, and a discriminator without updates, now count as right findings where they are what was brought
about.
"""

import sys

from induced import main
from translation_failures import TRIAL

if __name__ == "__main__":
    main(sys.argv[1:], "translation", "The doctor, tested on translations", __doc__ or "", TRIAL)
