"""Networks that restore degraded images, by name: (source (B, C, H, W), condition) -> image (B, C, sH, sW).

Each is made as (source modality, target modality, width, blocks). They are fully convolutional: a network that was
trained on patches takes images of any size. Those that fill holes need the condition "mask".
"""

from collections.abc import Callable, Mapping

from genlab.architectures.filling import ContextEncoder, Gated
from genlab.architectures.mixed import Mixed
from genlab.architectures.partial import PartialUNet
from genlab.architectures.superres import EDSR, FSRCNN, SRCNN

RESTORERS: Mapping[str, Callable[..., Mixed]] = {
    "srcnn": SRCNN,
    "fsrcnn": FSRCNN,
    "edsr": EDSR,
    "context-encoder": ContextEncoder,
    "partial-conv": PartialUNet,
    "gated": Gated,
}
