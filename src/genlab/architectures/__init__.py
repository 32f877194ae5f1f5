"""Networks: plain `nn.Module`s that know nothing of losses. `compose` builds them from named parts."""

from functools import partial

from genlab.architectures import biggan, dcgan, fastgan, mlp, resnet
from genlab.architectures.own import own_architecture
from genlab.architectures.parts import Architecture
from genlab.core.parts import Table

ARCHITECTURES: Table[Architecture] = Table(
    "architecture",
    {
        "mlp": Architecture(mlp.decoder, mlp.features, mlp.initialise, "none", deepens=True),
        "dcgan": Architecture(dcgan.decoder, dcgan.features, dcgan.initialise, "batch"),
        "dcgan-upsample": Architecture(
            partial(dcgan.decoder, upsample=True), dcgan.features, dcgan.initialise, "batch"
        ),
        "resnet": Architecture(resnet.decoder, resnet.features, resnet.initialise, "batch"),
        "biggan": Architecture(biggan.decoder, resnet.features, biggan.initialise, "none", embeds=True),
        "fastgan": Architecture(
            fastgan.decoder, fastgan.features, fastgan.initialise, "batch", reconstructs=True
        ),
    },
    own_architecture,
)
