"""The discriminator: features, then a head for each output."""

from torch import Tensor, nn

from genlab.architectures.conditional import JoinLabelToInput, JoinSources, required
from genlab.architectures.minibatch import MinibatchDiscrimination, MinibatchStddev
from genlab.architectures.parts import Features
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput


class Discriminator(nn.Module):
    """score = w·m(φ) + b (+ ⟨v_y, φ⟩) with φ the features of an image, or of a pack of images.

    Args:
        features: from images, with labels and sources appended and packs stacked along the channels, to φ.
        join: appends the labels to the images.
        sources: appends the other conditions to the images.
        pack: number of consecutive images that share one score (PacGAN).
        minibatch: m, appends features of the whole batch to φ.
        projection: v, a vector for each class.
        auxiliary: from φ to the logits of the classes.
        decoder: from φ to the image, or a smaller one.

    References:
        Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784 (join).
        Miyato and Koyama, 2018. cGANs with Projection Discriminator. arXiv:1802.05637 (projection).
        Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. arXiv:1610.09585.
        Lin et al., 2018. PacGAN: The Power of Two Samples in GANs. arXiv:1712.04086.
    """

    def __init__(
        self,
        features: Features,
        *,
        join: JoinLabelToInput | None = None,
        sources: JoinSources | None = None,
        pack: int = 1,
        minibatch: MinibatchDiscrimination | MinibatchStddev | None = None,
        projection: nn.Embedding | None = None,
        auxiliary: nn.Linear | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.join = join
        self.sources = sources
        self.pack = pack
        self.features = features.network
        self.minibatch = minibatch
        self.head = nn.Linear(features.size if minibatch is None else minibatch.size, 1)
        self.projection = projection
        self.auxiliary = auxiliary
        self.decoder = decoder

    def forward(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return scores, features and class logits of examples (B, *shape), given the conditions it was built for.

        Raises:
            ValueError: a condition is missing, or the examples are not a whole number of packs.
        """
        if self.join is not None:
            x = self.join(x, condition)
        if self.sources is not None:
            x = self.sources(x, condition)
        features: Tensor = self.features(self._packed(x))
        seen = features if self.minibatch is None else self.minibatch(features)
        scores: Tensor = self.head(seen).squeeze(1)
        if self.projection is not None:
            scores = scores + (self.projection(required(condition)) * features).sum(1)
        classes = None if self.auxiliary is None else self.auxiliary(features)
        return DiscriminatorOutput(scores, features, classes)

    def _packed(self, images: Tensor) -> Tensor:
        """Return (B / pack, pack·C, H, W)."""
        if self.pack == 1:
            return images
        count = images.shape[0]
        if count % self.pack:
            raise ValueError(f"{count} images cannot be divided into packs of {self.pack}")
        return images.reshape(count // self.pack, -1, *images.shape[2:])
