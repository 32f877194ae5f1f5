"""What can go wrong when a model learns to restore degraded images."""

from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import POINTS, RESTORATION, Context, Rule

SETTLED = 0.25  # share of a run after which a model should be better than interpolation
BEHIND = -0.05  # dB of psnr_gain
SHIFTED = 4.0  # grey levels of colour_shift


def worse_than_bicubic(history: History, context: Context) -> Sign | None:
    """Restored images are further from the originals than the enlarged sources are, after part of the run."""
    gain = history["psnr_gain"].smooth().after(context.share(history, SETTLED))
    since = gain.true_since(gain.values < BEHIND, POINTS)
    return None if since is None else Sign(since, [gain.shows("psnr_gain", "above 0")])


def colour_shift(history: History, context: Context) -> Sign | None:
    """The mean colour of restored images is not that of the originals, after part of the run."""
    shift = history["colour_shift"].smooth().after(context.share(history, SETTLED))
    since = shift.true_since(shift.values > SHIFTED, POINTS)
    return None if since is None else Sign(since, [shift.shows("colour_shift", f"below {SHIFTED:g}")])


AS_PUBLISHED = Remedy(
    [Change(option, published=True) for option in ("lr", "betas", "distance", "batch_size")],
    "The loss and the optimizer with which this preset is known to train.",
)
SLOWER = Remedy([Change("lr", times=0.1)], "Smaller steps let the weights settle.")

RULES = (
    Rule(
        "worse-than-bicubic",
        "Worse than interpolation: restored images are further from the originals than enlarged sources are",
        worse_than_bicubic,
        "What the network adds to the interpolation does more harm than good. Usually the learning rate is too "
        "high for it to settle, or the loss does not measure the error of pixels.",
        "Dong et al., 2014. Image Super-Resolution Using Deep Convolutional Networks. arXiv:1501.00092",
        ("psnr_gain",),
        RESTORATION,
        (AS_PUBLISHED, SLOWER),
    ),
    Rule(
        "colour-shift",
        "Colour shift: restored images are lighter, darker or tinted",
        colour_shift,
        "The mean error of the pixels is not 0, though a bias of the last layer could make it so. The learning "
        "rate is too high for that bias to settle, or the loss does not see the mean.",
        "Lim et al., 2017. Enhanced Deep Residual Networks for Single Image Super-Resolution. arXiv:1707.02921",
        ("colour_shift",),
        (*RESTORATION, "adversarial-restoration"),
        (AS_PUBLISHED, SLOWER),
    ),
)
