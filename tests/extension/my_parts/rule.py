"""A rule of the doctor."""

import genlab
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import Context


@genlab.part(
    "rule",
    "beyond-the-margin",
    symptom="discriminator beyond its margin, it no longer learns",
    why="The squared hinge has no gradient for outputs beyond the margin. A larger margin keeps it learning.",
    needs=["discriminator_loss"],
    families=["gan"],
)
def beyond_the_margin(history: History, context: Context) -> genlab.Sign | None:
    """Return a sign if the last four losses are nearly 0."""
    loss = history["discriminator_loss"]
    since = loss.true_since(loss.values < 1e-3, 4)
    return None if since is None else genlab.Sign(since, [loss.shows("discriminator_loss", "above 0.001")])
