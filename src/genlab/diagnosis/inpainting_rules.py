"""What can go wrong when a model learns to fill holes."""

import numpy as np

from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import POINTS, Context, Rule

FAMILIES = ("restoration", "adversarial-restoration")
SETTLED = 0.25  # share of a run after which fills should be better than the smoothest one
BEHIND = -0.25  # dB of fill_gain, which few images show
FLAT = 0.12  # fill_sharpness; that of harmonic filling is about 0.25
JUMP = 1.75  # seam; that of a fill that is too dark by 20 of 255 grey levels is about 1.5, by 40 about 2.3
MOST = 0.6  # missing_share


def worse_than_harmonic(history: History, context: Context) -> Sign | None:
    """Fills are further from the originals than harmonic ones are, after part of the run.

    The mean of all fills that are possible is smooth and has the least error, the variance. One of them, with
    details of its own, has twice as much; details s times as strong as the originals' cost 10 log₁₀(1 + s²) dB.
    """
    gain = history["fill_gain"].smooth().after(context.share(history, SETTLED))
    sharpness = np.minimum(history["fill_sharpness"].smooth().at(gain.steps), 1)
    least = BEHIND - 10 * np.log10(1 + np.nan_to_num(sharpness) ** 2)
    since = gain.true_since(gain.values < least, POINTS)
    if since is None:
        return None
    return Sign(since, [gain.shows("fill_gain", f"above {least[-1]:.2g} for fills of this sharpness")])


def flat_filling(history: History, context: Context) -> Sign | None:
    """Fills have next to no details, after part of the run."""
    sharpness = history["fill_sharpness"].smooth().after(context.share(history, SETTLED))
    since = sharpness.true_since(sharpness.values < FLAT, POINTS)
    return None if since is None else Sign(since, [sharpness.shows("fill_sharpness", f"above {FLAT}")])


def visible_seam(history: History, context: Context) -> Sign | None:
    """Pixels differ far more across the border of a hole than in the originals, after part of the run."""
    seam = history["seam"].smooth().after(context.share(history, SETTLED))
    since = seam.true_since(seam.values > JUMP, POINTS)
    return None if since is None else Sign(since, [seam.shows("seam", f"below {JUMP:g}")])


def mask_inverted(history: History, context: Context) -> Sign | None:
    """Most of each picture is missing, from the start."""
    share = history["missing_share"]
    since = share.true_since(share.values > MOST, POINTS)
    return None if since is None else Sign(since, [share.shows("missing_share", "below 0.5")])


AS_PUBLISHED = Remedy(
    [Change(option, published=True) for option in ("lr", "betas", "distance", "hole_weight")],
    "The loss and the optimizer with which this preset is known to train.",
)
SLOWER = Remedy([Change("lr", times=0.1)], "Smaller steps let the weights settle.")
LESS_ADVERSARIAL = Remedy(
    [Change("adversarial_weight", times=0.1)], "A smaller weight of the discriminator leaves more to the distance."
)
HOLES_COUNT = Remedy(
    [Change("hole_weight", published=True)], "Missing pixels have to count in the distance that is minimised."
)
LESS_SMOOTHNESS = Remedy(
    [Change("smoothness_weight", times=0.1)], "The total variation is least where nothing changes."
)
SMOOTHER = Remedy(
    [Change("smoothness_weight", to=0.1)],
    "The total variation counts the jumps across the border of the hole, too.",
)

RULES = (
    Rule(
        "mask-inverted",
        "Inverted mask: most of each picture is missing",
        mask_inverted,
        "Masks are read as white where a picture is missing. Many are drawn the other way round, and then the "
        "model learns to invent the picture around what was to be filled.",
        "",
        ("missing_share",),
        FAMILIES,
    ),
    Rule(
        "worse-than-harmonic",
        "Worse than harmonic filling: fills are further from the originals than the smoothest ones are",
        worse_than_harmonic,
        "The network has not learned to continue what surrounds a hole. Usually missing pixels have too little "
        "weight in the loss, the learning rate is too high, or the discriminator outweighs the distance.",
        "Pathak et al., 2016. Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379",
        ("fill_gain", "fill_sharpness"),
        FAMILIES,
        (HOLES_COUNT, AS_PUBLISHED, LESS_ADVERSARIAL, SLOWER),
    ),
    Rule(
        "flat-filling",
        "Flat filling: holes are filled with next to no details",
        flat_filling,
        "The network fills in a mean colour, which has the smallest squared error if nothing better is known. It "
        "does not use what surrounds the hole, or the total variation outweighs the distance.",
        "Pathak et al., 2016. Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379",
        ("fill_sharpness",),
        FAMILIES,
        (LESS_SMOOTHNESS, HOLES_COUNT, AS_PUBLISHED),
    ),
    Rule(
        "visible-seam",
        "Visible seam: the border of a hole can still be seen after it has been filled",
        visible_seam,
        "Fills do not continue what surrounds the hole: missing pixels have too little weight in the loss, the "
        "discriminator outweighs the distance, or the training was too short. Known pixels that were degraded "
        "before the hole was cut stay as they are, and show a seam, too.",
        "Liu et al., 2018. Image Inpainting for Irregular Holes Using Partial Convolutions. arXiv:1804.07723",
        ("seam",),
        FAMILIES,
        (HOLES_COUNT, AS_PUBLISHED, SMOOTHER, LESS_ADVERSARIAL, SLOWER),
    ),
)
