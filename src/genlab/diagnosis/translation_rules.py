"""What can go wrong when images are translated, and checkerboard patterns of any generator of images."""

from genlab.diagnosis.finding import Change, Remedy
from genlab.diagnosis.rule import TRANSLATION, Rule
from genlab.diagnosis.translation_checks import (
    checkerboard,
    colours_inverted,
    does_nothing,
    domain_ignored,
    hidden_cycle,
    pairs_do_not_match,
    source_ignored,
)

AS_PUBLISHED = Remedy(
    [Change(option, published=True) for option in ("generator_lr", "discriminator_lr", "betas", "loss")],
    "The loss and learning rates of each player with which this preset is known to train.",
)
IDENTITY = Remedy(
    [Change("identity_weight", to=0.5)],
    "A generator that must keep images of its target domain keeps colours, too.",
)
LESS_IDENTITY = Remedy(
    [Change("identity_weight", times=0.1)], "A large identity weight rewards a generator that changes nothing."
)
LESS_CYCLE = Remedy(
    [Change("cycle_weight", times=0.3)], "A smaller weight of the cycle allows larger changes on the way."
)
UPSAMPLED = Remedy(
    [Change("upsampling", to="upsample")],
    "Upsampling and a convolution treat all pixels alike; transposed convolutions overlap unevenly.",
)
UPSAMPLED_DCGAN = Remedy([Change("architecture", to="dcgan-upsample")], UPSAMPLED.why)

RULES = (
    Rule(
        "pairs-do-not-match",
        "Mismatched pairs: similar sources do not have similar targets",
        pairs_do_not_match,
        "The two files of a pair show different things, so that there is nothing to learn from them. Usually the "
        "two folders are sorted differently, or one of them was renamed.",
    ),
    Rule(
        "does-nothing",
        "Identity translation: translations are the sources, hardly changed",
        does_nothing,
        "Copying the source satisfies the cycle, identity or contrastive loss, and the adversarial loss is too "
        "weak against it. It happens if these weights are large, or if the discriminator does not learn.",
        "Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. "
        "arXiv:1703.10593",
        ("translation_change",),
        TRANSLATION,
        (LESS_IDENTITY, AS_PUBLISHED, LESS_CYCLE),
    ),
    Rule(
        "colours-inverted",
        "Inverted colours: inverted translations would be nearer to the targets",
        colours_inverted,
        "A generator that inverts colours and one that inverts them back have no cycle error, and a young "
        "discriminator does not notice. In pairs, one side was read inverted.",
        "Zhu et al., 2017. Unpaired Image-to-Image Translation, section 5.2. arXiv:1703.10593",
        ("colour_inversion",),
        TRANSLATION,
        (IDENTITY, AS_PUBLISHED),
    ),
    Rule(
        "source-ignored",
        "Source ignored: translations have nothing to do with their source",
        source_ignored,
        "The discriminator accepts an image of the target domain whatever its source is. It happens if the loss "
        "that ties a translation to its source has too little weight, or if the discriminator wins at once.",
        "Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks. arXiv:1611.07004",
        ("source_effect",),
        TRANSLATION,
        (
            AS_PUBLISHED,
            Remedy([Change("l1", published=True)], "The distance to the truth ties a translation to its source."),
            Remedy(
                [Change("cycle_weight", published=True)],
                "A source can only be recovered from a translation that depends on it.",
            ),
            Remedy(
                [Change("contrastive_weight", published=True)],
                "The contrastive loss ties each patch of a translation to the same patch of its source.",
            ),
        ),
    ),
    Rule(
        "domain-ignored",
        "Domain ignored: translations are the same for every domain, or do not belong to the one asked for",
        domain_ignored,
        "The generator minimises the reconstruction loss without using the label. The classification loss has too "
        "little weight, or the labels do not describe the images.",
        "Choi et al., 2018. StarGAN: Unified Generative Adversarial Networks. arXiv:1711.09020",
        ("label_effect",),
        TRANSLATION,
        (
            Remedy([Change("classification_weight", published=True)], "Translations have to be recognised."),
            AS_PUBLISHED,
            LESS_CYCLE,
        ),
    ),
    Rule(
        "hidden-cycle",
        "Hidden information: the source is hidden in its translation as an invisible signal",
        hidden_cycle,
        "If a translation cannot show all of its source, the cycle loss makes the generators hide the rest in a "
        "pattern too faint to see. The cycle error is then small without the translation being right.",
        "Chu, Zhmoginov and Sandler, 2017. CycleGAN, a Master of Steganography. arXiv:1712.02950",
        ("cycle_error", "cycle_error_noisy"),
        TRANSLATION,
        (
            Remedy(
                [Change("cycle_noise", to=0.06)],
                "Noise on a translation before it is translated back destroys hidden patterns.",
            ),
            LESS_CYCLE,
        ),
    ),
    Rule(
        "checkerboard",
        "Checkerboard artefacts: samples have a periodic pattern that real images do not have",
        checkerboard,
        "Transposed convolutions write to some pixels more often than to others. The network can learn to make up "
        "for it, but rarely does so completely.",
        "Odena, Dumoulin and Olah, 2016. Deconvolution and Checkerboard Artifacts. distill.pub",
        ("checkerboard",),
        (),
        (UPSAMPLED, UPSAMPLED_DCGAN),
    ),
)
