"""What can be wrong with the training images themselves."""

from genlab.diagnosis.finding import Evidence, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import Context, Rule

CONSTANT, DUPLICATES = 0.05, 0.2  # shares
NARROW = 0.5  # of the range from -1 to 1
RARE = 0.1  # of the mean number of images per class
TINY = 256  # images


def constant_images(history: History, context: Context) -> Sign | None:
    """Many images have a single colour."""
    return _above("constant", CONSTANT, context)


def duplicate_images(history: History, context: Context) -> Sign | None:
    """Many images occur more than once."""
    return _above("duplicates", DUPLICATES, context)


def narrow_range(history: History, context: Context) -> Sign | None:
    """The pixels use a small part of the range from black to white."""
    low, high = context.facts.get("low"), context.facts.get("high")
    if low is None or high is None or (high - low) / 2 >= NARROW or context.facts.get("constant", 0) > CONSTANT:
        return None
    return Sign(0, [Evidence("range of the pixels", high - low, f"above {2 * NARROW:g} of 2")], "warning")


def rare_class(history: History, context: Context) -> Sign | None:
    """A class has far fewer images than the others."""
    share = context.facts.get("rarest")
    conditional = any(context.options.get(name, "none") != "none" for name in ("discriminator_labels", "labels"))
    if share is None or share >= RARE or not conditional:
        return None
    return Sign(0, [Evidence("smallest class / mean over classes", share, f"above {RARE:g}")], "warning")


def tiny_data(history: History, context: Context) -> Sign | None:
    """There are so few images that a network can memorise them."""
    images = context.facts.get("images")
    if images is None or images >= TINY:
        return None
    return Sign(0, [Evidence("images", images, f"above {TINY}")], "warning")


def _above(fact: str, most: float, context: Context) -> Sign | None:
    share = context.facts.get(fact, 0.0)
    return Sign(0, [Evidence(fact, share, f"below {most:g}")], "warning") if share > most else None


RULES = (
    Rule(
        "data-constant",
        "Constant images: many training images have a single colour",
        constant_images,
        "A model that is trained on empty images learns to generate them. They usually come from a crop that "
        "missed, a failed download or a mask.",
    ),
    Rule(
        "data-duplicates",
        "Duplicate images: many training images occur more than once",
        duplicate_images,
        "An image that occurs more often is generated more often, and copies in the held-out set hide "
        "overfitting. Duplicates usually come from the frames of a video, or from a folder that was copied into "
        "itself.",
        "Somepalli et al., 2022. Diffusion Art or Digital Forgery? arXiv:2212.03860",
    ),
    Rule(
        "data-range",
        "Narrow pixel range: the images use a small part of the range from black to white",
        narrow_range,
        "All images look nearly the same to a network that expects values from -1 to 1. The usual cause is a "
        "division by 255 that was made twice, or 16-bit images that were read as 8-bit ones.",
    ),
    Rule(
        "data-imbalance",
        "Class imbalance: one class has far fewer images than the others",
        rare_class,
        "A conditional model sees this class too rarely to learn it, and its samples will be poor. Add images of "
        "it, or train with --balance, which draws all classes equally often.",
    ),
    Rule(
        "data-tiny",
        "Tiny data set: there are very few training images",
        tiny_data,
        "A network of this size can memorise so few images, and a discriminator does so within minutes. Add "
        "images, or flip and augment the ones there are.",
        "Karras et al., 2020. Training Generative Adversarial Networks with Limited Data. arXiv:2006.06676",
    ),
)
