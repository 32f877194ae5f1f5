"""Networks that restore degraded images, by name: (source (B, C, H, W), condition) -> image (B, C, sH, sW).

Each is made as (source modality, target modality, width, blocks). They are fully convolutional: a network that was
trained on patches takes images of any size. Those that fill holes need the condition "mask".
"""

from collections.abc import Callable

from genlab.architectures.colours import Colours
from genlab.architectures.filling import ContextEncoder, Gated
from genlab.architectures.mixed import Mixed
from genlab.architectures.partial import PartialUNet
from genlab.architectures.restorer_own import own_restorer
from genlab.architectures.rrdb import RRDB
from genlab.architectures.superres import EDSR, FSRCNN, SRCNN
from genlab.core.parts import Table

RESTORERS: Table[Callable[..., Mixed]] = Table(
    "architecture",
    {
        "srcnn": SRCNN,
        "fsrcnn": FSRCNN,
        "edsr": EDSR,
        "rrdb": RRDB,
        "colours": Colours,
        "context-encoder": ContextEncoder,
        "partial-conv": PartialUNet,
        "gated": Gated,
    },
    own_restorer,
)
