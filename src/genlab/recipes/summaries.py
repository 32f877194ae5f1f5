"""What each preset is: its paper, what the paper used, and where the preset differs."""

import inspect
from collections.abc import Mapping
from typing import Any

from genlab.core.parts import Part, Table

# The first line says what the model is, the others what the paper used and where the preset differs.
_SUMMARIES: Mapping[str, str] = {
    "autoencoder": """Autoencoder with fully connected layers (Hinton and Salakhutdinov, 2006).
        Published: 784-1000-500-250-30 units, layers pretrained one by one. Here: two hidden layers and Adam.""",
    "conv-autoencoder": """Autoencoder with the convolutions of DCGAN (Masci et al., 2011).
        Published: max-pooling. Here: strided convolutions.""",
    "sparse-autoencoder": """Autoencoder whose units are rarely active (Ng, 2011, CS294A lecture notes).
        Published: target 0.05, weight 3 beside half the squared error in [0, 1], L-BFGS. Here: weight 24, the same
        beside the whole squared error in [-1, 1], and Adam.""",
    "denoising-autoencoder": """Autoencoder that restores corrupted images (Vincent et al., 2010, JMLR 11).
        Published: masking, salt-and-pepper and Gaussian corruption, layers trained one by one.""",
    "compressive-autoencoder": """Autoencoder whose rounded latents take few bits (Ballé et al., 2017, ICLR).
        Published: convolutions with generalised normalisation, a piecewise linear density of each latent. Here: a
        learned transform that begins as the cosine transform, a perceptron beside it, and logistic densities.""",
    "dncnn": """Network that finds the noise in pictures, of any strength (Zhang et al., 2017, arXiv:1608.03981).
        Published: 17 to 20 layers at full resolution with batch normalisation, patches of 400 photographs. Here:
        half the resolution as in FFDNet (arXiv:1710.04026), residual blocks without normalisation, and half of the
        noisy pictures clipped as files are; batches of 16.""",
    "vae": """Variational autoencoder, fully connected (Kingma and Welling, 2013, arXiv:1312.6114).
        Published: 500 hidden units, batches of 100, Adagrad. Here: Adam.""",
    "conv-vae": """Variational autoencoder with the convolutions of DCGAN (arXiv:1312.6114).
        The loss is that of `vae`.""",
    "beta-vae": """VAE whose KL divergence weighs four times as much (Higgins et al., 2017, ICLR).
        Published: β = 4 and 10 latent dimensions on small images.""",
    "cyclical-vae": """VAE with cyclical annealing of the KL weight (Fu et al., 2019, arXiv:1903.10145).
        Published: 4 cycles; the weight rises in the first half of each. The networks are those of `conv-vae`.""",
    "conditional-vae": """VAE conditioned on the class (Sohn et al., 2015, NeurIPS).
        Published for images as conditions; with classes it is the M2 model of Kingma et al. (arXiv:1406.5298).""",
    "iwae": """VAE with the importance-weighted bound (Burda et al., 2015, arXiv:1509.00519).
        Published: 5 and 50 samples, 2 layers of 200 tanh units, 50 latent dimensions, batches of 20, a learning
        rate that falls from 1e-3 to 1e-4, binarised MNIST. Here: leaky ReLU.""",
    "gan": """The first GAN, fully connected (Goodfellow et al., 2014, arXiv:1406.2661).
        Published: maxout and dropout in the discriminator, momentum. Here: leaky ReLU and Adam.""",
    "dcgan": """Deep convolutional GAN (Radford et al., 2015, arXiv:1511.06434).
        Published: batches of 128, Adam 2e-4 (0.5, 0.999), weights from N(0, 0.02), a uniform latent of 100.
        Here: a normal latent.""",
    "dcgan-upsample": """DCGAN with upsampling instead of transposed convolutions (Odena et al., 2016).
        Published on distill.pub; the rest is `dcgan`.""",
    "cgan": """GAN conditioned on the class (Mirza and Osindero, 2014, arXiv:1411.1784).
        Published: maxout networks, momentum, batches of 100. Here: the networks of `dcgan` and Adam.""",
    "acgan": """GAN whose discriminator also predicts the class (Odena et al., 2017, arXiv:1610.09585).
        Published: Adam 2e-4 (0.5, 0.999), batches of 100, dropout 0.5 in the discriminator.""",
    "lsgan": """GAN with the least-squares loss (Mao et al., 2017, arXiv:1611.04076).
        Published: targets 0 and 1, Adam with β₁ = 0.5, batches of 64.""",
    "wgan": """Wasserstein GAN with weight clipping (Arjovsky et al., 2017, arXiv:1701.07875).
        Published, and here: weights clipped to ±0.01, 5 critic steps, RMSProp 5e-5, batches of 64.""",
    "wgan-gp": """Wasserstein GAN with gradient penalty (Gulrajani et al., 2017, arXiv:1704.00028).
        Published, and here: weight 10, 5 critic steps, Adam 1e-4 (0, 0.9), batches of 64, no batch norm in the
        critic. Add --architecture resnet for the networks of its CIFAR-10 results.""",
    "dragan": """GAN with a gradient penalty around real images (Kodali et al., 2017, arXiv:1705.07215).
        Published: weight 10, images perturbed by half the standard deviation of the batch.""",
    "r1-gan": """GAN with a gradient penalty at real images (Mescheder et al., 2018, arXiv:1801.04406).
        Published: γ = 10, RMSProp 1e-4, no normalisation, weights averaged with 0.999, residual networks. Here:
        the networks of `dcgan`.""",
    "sngan": """Residual GAN with spectral norm and hinge loss (Miyato et al., 2018, arXiv:1802.05957).
        Published, and here: 5 discriminator steps, Adam 2e-4 (0, 0.9), batches of 64, 100,000 steps, a
        learning rate that falls to 0. Made for a GPU; use --width 32 on a CPU.""",
    "sagan": """SNGAN with self-attention and two learning rates (Zhang et al., 2019, arXiv:1805.08318).
        Published: attention at 32 of 128 pixels, spectral norm in both networks, Adam 1e-4 and 4e-4 (0, 0.9), and
        class labels: --generator-labels batch-norm --discriminator-labels projection. Use --width 32 on a CPU.""",
    "projection-gan": """SNGAN with a projection discriminator (Miyato and Koyama, 2018, arXiv:1802.05637).
        Published, and here: conditional batch norm in the generator, the rest as `sngan`. Use --width 32 on a
        CPU.""",
    "biggan": """Residual GAN whose blocks each get a part of the latent (Brock et al., 2018, arXiv:1809.11096).
        Published: batches of 2,048, Adam 5e-5 and 2e-4 (0, 0.999), 2 discriminator steps; on CIFAR-10 batches of
        50, Adam 2e-4. Here: the latter, with 2 steps. Needs class labels. Use --width 32 on a CPU.""",
    "fastgan": """GAN for a hundred to some thousand images (Liu et al., 2021, arXiv:2101.04775).
        Published: batches of 8, Adam 2e-4 (0.5, 0.999), colour and translation, noisy labels, a perceptual
        distance of two reconstructions. Here: batches of 16, an absolute distance of one. Use --width 16 on a
        CPU.""",
    "progressive-gan": """GAN that learns small images first (Karras et al., 2018, arXiv:1710.10196).
        Published, and here: new layers fade in, pixel norm, equalised learning rates, minibatch deviation,
        gradient penalty with weight 10, Adam 1e-3 (0, 0.99), batches of 16 at 128 pixels. Published: from 4 pixels
        on, 600,000 images of fading and as many after it. Here: from 8 pixels on, phases of equal length, tanh at
        the image. Use --width 16 --latent 128 on a CPU.""",
    "relativistic-gan": """GAN with the relativistic average loss (Jolicoeur-Martineau, 2018, arXiv:1807.00734).
        Published: Adam 2e-4 (0.5, 0.999), one discriminator step, spectral norm in the discriminator.""",
    "r3gan": """Minimal residual GAN with a paired loss, R1 and R2 (Huang et al., 2024, arXiv:2501.05441).
        Published for 64 pixels, and here: 384 channels next to the image, batches of 256, Adam 5e-5 (0, 0.99),
        γ = 0.2, a burn-in of 20 million images. Published: γ of 0.005 to 0.05 for 32 pixels, 15 for 256, and
        augmentation. With labels: --generator-labels concat --discriminator-labels projection. Made for a GPU; use
        --width 16 --batch-size 64 --lr 2e-4 --penalty-every 4 --steps 5000 --burn-in 2500 on a CPU.""",
    "unrolled-gan": """GAN that unrolls five discriminator steps (Metz et al., 2017, arXiv:1611.02163).
        Published: 1 to 10 steps, Adam 1e-4 with β₁ = 0.5.""",
    "pacgan": """GAN whose discriminator sees two images at once (Lin et al., 2018, arXiv:1712.04086).
        Published: packs of 2 to 4 on DCGAN.""",
    "minibatch-gan": """GAN with minibatch discrimination (Salimans et al., 2016, arXiv:1606.03498).
        Published: 100 kernels of 5 dimensions at the end of the discriminator, batches of 100.""",
    "feature-matching-gan": """GAN whose generator matches mean features (Salimans et al., 2016, arXiv:1606.03498).
        Published: an intermediate layer of the discriminator. Here: the layer before the score.""",
    "stylegan": """GAN whose layers each get a style of the latent (Karras et al., 2019, arXiv:1812.04948).
        Published, and here: a mapping network of 8 layers with a hundredth of the learning rate, adaptive instance
        norm, noise on each layer, mixed styles, R1, Adam (0, 0.99), equalised learning rates. Published: the image
        grows in training, γ = 10 at 1024 pixels. Here: the whole size at once, γ by size and batch, tanh at the
        image. Use --width 8 --latent 128 on a CPU.""",
    "stylegan2": """StyleGAN with modulated weights and even steps (Karras et al., 2020, arXiv:1912.04958).
        Published, and here: modulated and demodulated convolutions, an image that is the sum of all sizes, a
        residual discriminator, path length penalty with weight 2 in every 4th update, R1 in every 16th, Adam 2e-3
        (0, 0.99), batches of 32. Published: penalties have updates of their own, for which rates and betas are
        corrected. Here: they are added to the losses of an update, γ by size and batch, tanh at the image. Use
        --width 8 --latent 128 on a CPU.""",
    "stylegan2-ada": """StyleGAN 2 for some thousand images (Karras et al., 2020, arXiv:2006.06676).
        Published, and here: augmentation that rises until the mean sign of the scores of real images is 0.6; as
        for CIFAR-10, 2 mapping layers and no path length penalty. Published: 18 operations. Here: moves and
        colours, interpolated bilinearly. Use --width 8 --latent 128 on a CPU.""",
    "realnvp": """Flow of affine couplings (Dinh et al., 2017, arXiv:1605.08803).
        Published: checkerboard and channel masks, residual networks of 64 channels, batch norm, Adam 1e-3,
        batches of 64. Here: activation norm and plain convolutions.""",
    "glow": """Flow with invertible 1×1 convolutions (Kingma and Dhariwal, 2018, arXiv:1807.03039).
        Published: 3 levels of 32 steps, 512 channels, a learned prior for the latents of each level, a learning
        rate that rises over 10 epochs. Here: N(0, 1), 100 steps. Use --width 64 --flow-steps 8 on a CPU.""",
    "spline-flow": """Flow of rational-quadratic splines (Durkan et al., 2019, arXiv:1906.04032).
        For points and short vectors.""",
    "ddpm": """Diffusion model that predicts the noise (Ho et al., 2020, arXiv:2006.11239).
        Published for 800,000 steps, and here: width 128, attention at 16, dropout 0.1, Adam 2e-4, batches of 128,
        weights averaged with 0.9999. Use --width 32 on a CPU.""",
    "cosine-diffusion": """Diffusion with the cosine schedule (Nichol and Dhariwal, 2021, arXiv:2102.09672).
        Published: learned variances, Adam 1e-4. Here: the fixed variances of `ddpm`, and 50 steps of DDIM.""",
    "velocity-diffusion": """Diffusion that predicts the velocity (Salimans and Ho, 2022, arXiv:2202.00512).
        Published for distillation, with the cosine schedule. The rest is as `ddpm`, without dropout and with 50
        steps of DDIM.""",
    "flow-matching": """Flow matching on straight lines (Lipman et al., 2023, arXiv:2210.02747).
        Published with adaptive solvers. Here: the network of `ddpm` and 50 Euler steps.""",
    "conditional-diffusion": """Diffusion with classifier-free guidance (Ho and Salimans, 2022, arXiv:2207.12598).
        Published: a tenth of the labels dropped. The rest is as `velocity-diffusion`, with guidance scale 2.""",
    "table-autoencoder": """Denoising autoencoder for rows of tables (Vincent et al., 2010, JMLR 11).
        Published for pictures. Here: noise on the entries of a row, squared error of numbers and cross-entropy of
        categories, and a wide code. The error of a row is its anomaly score.""",
    "table-vae": """VAE for rows of tables (Xu et al., 2019, arXiv:1907.00503).
        Published: TVAE, numbers by modes, two hidden layers of 128, 128 latent dimensions, batches of 500. Here:
        numbers with a learned deviation for each column, 16 latent dimensions, batches of 128.""",
    "table-flow": """Neural spline flow for rows of tables (Durkan et al., 2019, arXiv:1906.04032).
        Published for numbers. Here: categories and rounded numbers are dequantised; a little noise on the rows
        (Rothfuss et al., 2019, arXiv:1907.08982). The most reliable of the four for anomalies.""",
    "table-diffusion": """Diffusion model for rows of tables (Kotelnikov et al., 2023, arXiv:2209.15421).
        Published: multinomial noise for categories. Here: Gaussian noise for all entries, and the category of the
        largest entry (Chen et al., 2022, arXiv:2208.04202). For synthetic rows more than for anomalies.""",
    "pix2pix": """Image translation learned from pairs (Isola et al., 2017, arXiv:1611.07004).
        Published: U-Net, patches of 70 pixels, L1 weight 100, batches of 1, Adam 2e-4 (0.5, 0.999), dropout 0.5
        also when used. Here: no dropout when used, and upsampling instead of transposed convolutions.""",
    "cyclegan": """Image translation both ways, learned without pairs (Zhu et al., 2017, arXiv:1703.10593).
        Published, and here: residual generators, patches of 70 pixels, instance norm, least squares, cycle weight
        10, identity weight 0.5, pools of 50 images, batches of 1, Adam 2e-4 (0.5, 0.999), a learning rate that
        falls to 0 in the second half of 200,000 steps. Here: upsampling instead of transposed convolutions. Use
        --width 16 --size 64 on a CPU.""",
    "cut": """Image translation learned without pairs, from contrasts (Park et al., 2020, arXiv:2007.15651).
        Published: residual generator, patches of 70 pixels, 256 positions in each of 5 layers, temperature 0.07,
        weights ½ and ½, batches of 1, Adam 2e-4 (0.5, 0.999), a learning rate that falls to 0 in the second half.
        Here: upsampling instead of transposed convolutions. Use --width 16 --size 64 on a CPU.""",
    "fastcut": """CUT without identity loss, which takes half the time (Park et al., 2020, arXiv:2007.15651).
        Published, and here: weight 10, half of the sources mirrored. Published: a learning rate that falls to 0 in
        the last quarter. The rest is as `cut`.""",
    "stargan": """Image translation between many domains by one network (Choi et al., 2018, arXiv:1711.09020).
        Published, and here: WGAN-GP with weight 10, 5 discriminator steps, classification weight 1, cycle weight
        10, Adam 1e-4 (0.5, 0.999), batches of 16, 200,000 discriminator steps, a learning rate that falls to 0 in
        the second half. Here: upsampling instead of transposed convolutions. Use --width 16 on a CPU.""",
    "diffusion-translation": """Diffusion model that translates pairs (Saharia et al., 2022, arXiv:2111.05826).
        Published, and here: the source as further channels of the noisy image. The rest is `velocity-diffusion`
        with width 64. Use --width 32 on a CPU.""",
    "style-transfer": """Any picture in the style of any other (Huang and Belongie, 2017, arXiv:1703.06868).
        Published: features of VGG-19 at stride 8, batches of 8, Adam 1e-4 that decays, style weight 10. Here:
        features of EfficientNet-Lite0 at stride 4, and contents that come back. --architecture vgg19 --stride 8
        --identity-weight 0 is as published. Use --width 32 --lr 1e-3 on a CPU.""",
    "srcnn": """Super-resolution by three convolutions (Dong et al., 2014, arXiv:1501.00092).
        Published: 9-1-5 pixels, 64 and 32 channels, luma, squared error, SGD. Here: added to the interpolation,
        and Adam.""",
    "fsrcnn": """Fast super-resolution on the small picture (Dong, Loy and Tang, 2016, arXiv:1608.00367).
        Published: 56 and 12 channels, 4 convolutions, a transposed convolution of 9 pixels, luma, squared error,
        SGD. Here: a sub-pixel convolution, added to the interpolation, and Adam.""",
    "edsr": """Super-resolution by residual blocks without normalisation (Lim et al., 2017, arXiv:1707.02921).
        Published: 16 blocks of 64 or 32 of 256 channels, patches of 48 pixels, 300,000 steps, enlarged by 2 at a
        time. Here: 8 blocks of 64, one sub-pixel convolution, added to the interpolation.""",
    "context-encoder": """Fills a hole in the centre of pictures (Pathak et al., 2016, arXiv:1604.07379).
        Published, and here: squared error in the hole with weight 0.999, adversarial loss with 0.001, batches of
        64, Adam (0.5, 0.999), ten times the learning rate of the discriminator. Here: a convolution for each
        channel in place of the fully connected layer, and a discriminator of patches. Use --width 32 on a CPU.""",
    "partial-conv": """Fills holes of any form by partial convolutions (Liu et al., 2018, arXiv:1804.07723).
        Published, and here: weights 1 and 6 of known and missing pixels, 0.05 of features, 120 of Gram matrices,
        0.1 of total variation, Adam 2e-4. Published: features of VGG-16, eight levels at 512 pixels. Here:
        features of EfficientNet-Lite0, and of the completed picture alone. Use --width 16 on a CPU.""",
    "gated-inpainting": """Fills holes of any form by gated convolutions (Yu et al., 2019, arXiv:1806.03589).
        Published, and here: L1, hinge loss with weight 1, a discriminator of patches with spectral norm that sees
        the mask, dilations to 16, Adam 1e-4 (0.5, 0.999), batches of 16. Published: a second network that refines
        the fill by contextual attention. Use --width 12 --discriminator-width 32 on a CPU.""",
    "srgan": """Super-resolution with sharp, invented details (Ledig et al., 2017, arXiv:1609.04802).
        Published: 16 blocks with batch norm, features of VGG-19, adversarial weight 1e-3, no distance of pixels
        after pretraining, a discriminator of whole patches, 1e-4. Here: network of `edsr`, features of
        EfficientNet-Lite0, pixel weight 1e-2, scores of patches of 70 pixels, spectral norm. Use --width 32
        --discriminator-width 32 on a CPU.""",
    "esrgan": """Sharper super-resolution by a relativistic loss (Wang et al., 2018, arXiv:1809.00219).
        Published: 23 dense residual blocks of 64 channels, features of VGG-19 before the activation, weights 1,
        5e-3 and 1e-2, 2e-4 and then 1e-4. Here: 3 blocks and one sub-pixel convolution, features of
        EfficientNet-Lite0; the rest is as `srgan`.""",
    "colorization": """Colours for grey pictures, whose lightness is kept (Zhang et al., 2016, arXiv:1603.08511).
        Published: a classification of 313 colours, rare ones with a larger weight. Here: the mean of a and b of
        CIELAB by a U-Net at half the size, which gives paler colours.""",
}


def own_summary(part: Part, own: Mapping[str, Any]) -> str:
    """Return the docstring of a user's own family."""
    return inspect.getdoc(part.value) or f"A family in {part.origin.file}."


SUMMARIES: Table[str] = Table("family", _SUMMARIES, own_summary)
