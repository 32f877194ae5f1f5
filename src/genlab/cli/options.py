"""Options that several commands have, with one wording."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from genlab.recipes.settings import CheckpointName, DeviceName

Run = Annotated[str, Parameter(help="A run folder, a name in --root, or latest.")]
Checkpoint = Annotated[CheckpointName | None, Parameter(help="Which of the run's; by default the best.")]
Device = Annotated[DeviceName, Parameter(help="Where to compute.")]
Root = Annotated[Path, Parameter(help="Folder of the run folders.")]
RUNS = Path("runs")
