"""Tests the doctor on restorations that fail for a known reason and on healthy ones.

    python benchmarks/restoration_doctor.py --runs FOLDER --cifar10 ZIP --faces ZIP --natural ZIP [--only KIND …]
        [--half HALF] [--write docs/restoration-doctor.md]

As `benchmarks/doctor.py`: each run is trained once into FOLDER, then its history is replayed to the doctor line by
line; a finding counts from the step at which it is made. A failing run is found if the doctor makes a finding that
is right for its cause; a healthy run is flagged if it makes any. All runs are tiny: pictures and patches of 32
pixels, narrow networks, 200 steps. Healthy runs have the options of their presets, but for sizes, learning rates
and holes that suit so few steps. The runs of even seeds were used for tuning, and both halves have the same causes
on the same data, so that the other half is no test on other data. The trial led to four changes: gains over
interpolation and harmonic filling are medians of the images, since a few flat ones decided the means; fills with
details of their own may be up to 3 dB behind harmonic ones; a shift of colours counts beyond twice its standard
error, which flagged colorization; and it also counts against a discriminator.
"""

import sys

from induced import main
from restoration_failures import TRIAL

if __name__ == "__main__":
    main(sys.argv[1:], "restoration", "The doctor, tested on restorations", __doc__ or "", TRIAL)
