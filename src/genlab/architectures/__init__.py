"""Networks: plain `nn.Module`s that know nothing of losses. `compose` builds them from named parts."""

from functools import partial

from genlab.architectures import biggan, dcgan, equalised, fastgan, growing, mlp, r3gan, resnet, styles
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
        "r3gan": Architecture(r3gan.decoder, r3gan.features, r3gan.initialise, "none"),
        "stylegan": Architecture(
            partial(styles.decoder, architecture="stylegan"),
            partial(styles.features, residual=False),
            equalised.initialise,
            "none",
        ),
        "stylegan2": Architecture(styles.decoder, styles.features, equalised.initialise, "none"),
        "biggan": Architecture(biggan.decoder, resnet.features, biggan.initialise, "none", embeds=True),
        "fastgan": Architecture(
            fastgan.decoder, fastgan.features, dcgan.initialise, "batch", reconstruction=fastgan.reconstruction
        ),
        "progressive": Architecture(growing.decoder, growing.features, equalised.initialise, "none"),
    },
    own_architecture,
)
