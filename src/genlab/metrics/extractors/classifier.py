"""A small classifier of a source's own classes: better features for digits or clothes than those of ImageNet."""

import torch
from torch import Tensor, nn

from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput

SIDE, FEATURES = 32, 128


class Classifier(nn.Module):
    """Three convolutions and two linear layers: images (B, C, 32, 32) in [-1, 1] to features and probabilities."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for entering, leaving in ((channels, 32), (32, 64), (64, 128)):
            blocks += [
                nn.Conv2d(entering, leaving, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(leaving),
                nn.MaxPool2d(2),
            ]
        self.body = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 16, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def logits(self, images: Tensor) -> Tensor:
        """Return the unnormalised log-probabilities of the classes, (B, classes)."""
        logits: Tensor = self.head(self.body(images))
        return logits

    def forward(self, images: Tensor) -> ExtractorOutput:
        """Return the inputs of the last layer (B, 128), and the probabilities of the classes (B, classes)."""
        features = self.body(images)
        return ExtractorOutput(features, self.head(features).softmax(1))


def classifier(network: Classifier, weights: str, device: torch.device) -> Extractor:
    """Return the extractor of a trained classifier.

    Args:
        network: in evaluation mode, on `device`.
        weights: the first 12 hex digits of the sha256 of its file.
        device: of the network.
    """
    return Extractor("classifier", network, weights, SIDE, any_channels=True, device=device)
