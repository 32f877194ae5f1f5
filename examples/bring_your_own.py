"""Your own data, network, loss and callback, trained, resumed and measured in half a minute on a CPU."""

import numpy as np
import torch
from torch import Tensor, nn

import genlab

STEPS = 200


def rings(count: int) -> np.ndarray:
    """Return pictures (count, 16, 16) of rings of random radius and place, bytes."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    centre, radius = random.uniform(5, 11, (2, count, 1, 1)), random.uniform(2, 5, (count, 1, 1))
    distance = np.hypot(rows - centre[0], columns - centre[1])
    return (255 * np.exp(-((distance - radius) ** 2))).astype(np.uint8)


class MyNet(nn.Sequential):
    """Two hidden layers between any two shapes: the generator and the discriminator."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, hidden: int = 256) -> None:
        inputs, outputs = torch.Size(input_shape).numel(), torch.Size(output_shape).numel()
        layers = [nn.Flatten(), nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden)]
        super().__init__(*layers, nn.LeakyReLU(0.2), nn.Linear(hidden, outputs), nn.Unflatten(1, output_shape))


class MyLoss:
    """The logistic loss; each network wants the opposite of the other."""

    log_odds = True

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """Return the loss of the outputs (n,) for real and for generated pictures."""
        return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """Return the loss of the outputs (n,) for generated pictures."""
        return nn.functional.softplus(-fake).mean()


class Logger:
    """Prints the losses now and then."""

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Print a line; called at every logged step."""
        if step % 100 == 0:
            print(step, {name: round(value, 3) for name, value in values.items() if name.endswith("_loss")})


if __name__ == "__main__":
    parts = {"architecture": MyNet, "loss": MyLoss, "callbacks": [Logger()]}
    options = {"latent": 8, "lr": 1e-3, "ema": 0.99, "extractor": "pixels"}
    run = genlab.train("dcgan", data=rings(2000), **parts, **options, steps=STEPS)
    run = genlab.resume(run, steps=2 * STEPS)
    print(genlab.evaluate(run, extractor="pixels", samples=500))
