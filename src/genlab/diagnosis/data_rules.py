"""What is wrong with the images that a run trains on, whatever it makes of them."""

from genlab.diagnosis.finding import Evidence, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import Context, Rule

CONSTANT, DUPLICATES = 0.05, 0.2  # shares
NARROW = 0.5  # of the range from -1 to 1
RARE = 0.1  # of the mean over classes
TINY = 256  # images


def constant_images(history: History, context: Context) -> Sign | None:
    """Many images are of one colour."""
    return _above("constant", CONSTANT, context)


def duplicate_images(history: History, context: Context) -> Sign | None:
    """Many images are there more than once."""
    return _above("duplicates", DUPLICATES, context)


def narrow_range(history: History, context: Context) -> Sign | None:
    """Pixels use a small part of what there is between black and white."""
    low, high = context.facts.get("low"), context.facts.get("high")
    if low is None or high is None or (high - low) / 2 >= NARROW or context.facts.get("constant", 0) > CONSTANT:
        return None
    return Sign(0, [Evidence("range of the pixels", high - low, f"above {2 * NARROW:g} of 2")], "warning")


def rare_class(history: History, context: Context) -> Sign | None:
    """A class has a small part of the images that the others have."""
    share = context.facts.get("rarest")
    told = any(context.options.get(name, "none") != "none" for name in ("discriminator_labels", "labels"))
    if share is None or share >= RARE or not told:
        return None
    return Sign(0, [Evidence("images of the smallest class by the mean", share, f"above {RARE:g}")], "warning")


def tiny_data(history: History, context: Context) -> Sign | None:
    """There are so few images that a network can learn them by heart."""
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
        "Many training pictures are of one colour",
        constant_images,
        "A model that is shown empty pictures learns to make them. They usually come from a crop that missed, a "
        "failed download or a mask.",
    ),
    Rule(
        "data-duplicates",
        "Many training pictures are there more than once",
        duplicate_images,
        "A picture that is shown more often is made more often, and copies in the held-out part hide overfitting. "
        "They usually come from frames of a video or a folder that was copied into itself.",
        "Somepalli et al., 2022. Diffusion Art or Digital Forgery? arXiv:2212.03860",
    ),
    Rule(
        "data-range",
        "The pictures use a small part of the range from black to white",
        narrow_range,
        "All pictures look nearly the same to a network that expects values from -1 to 1. The usual cause is a "
        "division by 255 that was made twice, or 16-bit pictures that were read as 8 bits.",
    ),
    Rule(
        "data-imbalance",
        "A class has far fewer pictures than the others",
        rare_class,
        "A conditional model sees that class too seldom to learn it. Its samples will be poor or copies.",
    ),
    Rule(
        "data-tiny",
        "There are very few training pictures",
        tiny_data,
        "A network of this size can learn so few pictures by heart, and a discriminator does within minutes. Add "
        "pictures, or mirror and augment the ones there are.",
        "Karras et al., 2020. Training Generative Adversarial Networks with Limited Data. arXiv:2006.06676",
    ),
)
