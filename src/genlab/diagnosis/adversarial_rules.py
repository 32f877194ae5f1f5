"""What can go wrong between a generator and its discriminator: symptoms, reasons and remedies."""

from genlab.diagnosis.adversarial_checks import (
    adversary_dominates,
    discriminator_overfitting,
    discriminator_too_strong,
    discriminator_too_weak,
    divergence,
    flat_losses,
    generator_not_learning,
    mode_collapse,
    mode_dropping,
    oscillation,
    saturated_samples,
    unbalanced_updates,
    unbounded_slope,
    uninformative_labels,
    vanishing_gradients,
)
from genlab.diagnosis.finding import Change, Remedy
from genlab.diagnosis.general_rules import BALANCED
from genlab.diagnosis.rule import ADVERSARIAL, Rule

NON_SATURATING = Remedy(
    [Change("loss", to="non-saturating")],
    "Its gradient is largest where the discriminator is certain that an image is generated.",
)
R1 = Remedy(
    [Change("r1", to=10.0)], "A penalty on the gradient at real images keeps the discriminator from certainty."
)
SLOWER_GENERATOR = Remedy(
    [Change("generator_lr", times=0.2)], "Smaller steps of the generator let the discriminator react."
)
SLOWER_DISCRIMINATOR = Remedy(
    [Change("discriminator_lr", times=0.2)], "Smaller steps of the discriminator let the generator follow."
)
FASTER_DISCRIMINATOR = Remedy(
    [Change("discriminator_lr", published=True), Change("flip_labels", published=True)],
    "The learning rate and the flipped labels with which this preset's discriminator is known to learn.",
)
AUGMENTED = Remedy(
    [Change("diff_augment", to="translation-cutout")],
    "Augmented images are different each time and harder to memorise.",
)
HINGE = Remedy(
    [Change("loss", to="hinge"), Change("spectral_norm", to="discriminator")],
    "Spectral normalisation bounds the slope of the discriminator.",
)
PENALISED = Remedy(
    [Change("gradient_penalty", to=10.0), Change("discriminator_norm", to="layer")],
    "The penalty keeps the norm of the discriminator's gradient near 1.",
)
UNLABELLED = Remedy(
    [Change("discriminator_labels", to="none"), Change("generator_labels", to="none")],
    "Without labels the model is at least not misled.",
)

RULES = (
    Rule(
        "discriminator-too-strong",
        "Discriminator too strong: it is certain about every image, and the generator learns nothing from it",
        discriminator_too_strong,
        "If the discriminator separates real from generated images perfectly, its gradient says little about how "
        "to improve. It happens if the discriminator learns faster, is larger or takes more steps than the "
        "generator can follow.",
        "Arjovsky and Bottou, 2017. Towards Principled Methods for Training GANs. arXiv:1701.04862",
        (("D(x)", "discriminator_loss"), ("D(G(z))", "generator_loss")),
        ("gan",),
        (BALANCED, SLOWER_DISCRIMINATOR, R1, HINGE),
    ),
    Rule(
        "vanishing-gradients",
        "Vanishing gradients: the generator's gradient is close to 0",
        vanishing_gradients,
        "The saturating loss is flat where the discriminator is certain that an image is generated. The generator "
        "stops learning although it is at its worst.",
        "Goodfellow et al., 2014. Generative Adversarial Networks, section 3. arXiv:1406.2661",
        ("generator_gradient_norm",),
        ADVERSARIAL,
        (NON_SATURATING, BALANCED, HINGE),
    ),
    Rule(
        "mode-collapse",
        "Mode collapse: all samples look alike",
        mode_collapse,
        "The generator has found an image that the discriminator accepts, and nothing rewards it for others. It "
        "happens if the generator learns faster than the discriminator can react.",
        "Goodfellow, 2016. NIPS 2016 Tutorial: Generative Adversarial Networks, 5.1.1. arXiv:1701.00160",
        ("nearest_neighbour_distance",),
        ("gan",),
        (BALANCED, SLOWER_GENERATOR, R1, HINGE),
    ),
    Rule(
        "mode-dropping",
        "Mode dropping: samples vary far less than real images",
        mode_dropping,
        "Parts of the data are never generated, because a discriminator that sees one image at a time cannot "
        "notice what is missing. A slow discriminator, a fast generator and small batches make it worse.",
        "Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498",
        ("diversity",),
        ("gan",),
        (
            BALANCED,
            Remedy(
                [Change("minibatch", to="stddev")],
                "A discriminator that sees how much a batch varies notices what is missing.",
            ),
            R1,
        ),
    ),
    Rule(
        "discriminator-too-weak",
        "Discriminator too weak: it cannot tell generated from real images, although they differ clearly",
        discriminator_too_weak,
        "A discriminator that does not learn gives the generator nothing to learn from. It happens if its "
        "learning rate is too low, or if half of its labels are flipped.",
        "",
        ("score_real", "score_fake", "diversity"),
        ("gan",),
        (
            FASTER_DISCRIMINATOR,
            Remedy(
                [Change("discriminator_steps", to=2)], "More steps of the discriminator for each of the generator."
            ),
        ),
    ),
    Rule(
        "divergence",
        "Divergence: scores or losses grow without bound",
        divergence,
        "Nothing bounds the slope of the discriminator, which becomes steeper with every step. The Wasserstein "
        "loss needs clipped weights or a gradient penalty.",
        "Gulrajani et al., 2017. Improved Training of Wasserstein GANs. arXiv:1704.00028",
        (("score_real", "score_fake", "discriminator_loss", "generator_loss"),),
        ADVERSARIAL,
        (
            HINGE,
            PENALISED,
            SLOWER_DISCRIMINATOR,
        ),
    ),
    Rule(
        "unbounded-slope",
        "Unbounded discriminator: its loss needs a bound on its slope, and there is none",
        unbounded_slope,
        "The Wasserstein loss is a distance only for a discriminator whose slope is at most 1. Without a bound it "
        "falls as the discriminator becomes steeper, whatever the samples look like, and training may diverge.",
        "Arjovsky, Chintala and Bottou, 2017. Wasserstein GAN. arXiv:1701.07875",
        (),
        ADVERSARIAL,
        (
            PENALISED,
            Remedy([Change("spectral_norm", to="discriminator")], "It bounds the slope of each layer."),
            Remedy([Change("weight_clip", to=0.01)], "Small weights keep the slope small."),
            Remedy([Change("gradient_penalty", published=True)], PENALISED.why),
            Remedy([Change("loss", published=True)], "The loss of the preset needs no such bound."),
        ),
    ),
    Rule(
        "discriminator-overfitting",
        "Overfitting discriminator: it scores training images far higher than held-out ones",
        discriminator_overfitting,
        "It has memorised the training images, and its gradient teaches the generator to copy them, or nothing. "
        "There are too few images for the length of the training.",
        "Karras et al., 2020. Training Generative Adversarial Networks with Limited Data. arXiv:2006.06676",
        ("score_train", "score_held_out", "score_sample"),
        ("gan",),
        (
            AUGMENTED,
            Remedy(
                [Change("discriminator_dropout", to=0.3)],
                "Dropout in the discriminator makes it harder to memorise.",
            ),
            R1,
        ),
    ),
    Rule(
        "saturated-samples",
        "Saturated samples: many more pixels than in real images are black or white",
        saturated_samples,
        "Steps that are too large drive the generator's last layer to where tanh is flat. There its gradient "
        "vanishes, and the pixels stay as they are.",
        "",
        ("saturated_pixels",),
        ADVERSARIAL,
        (BALANCED, SLOWER_GENERATOR),
    ),
    Rule(
        "generator-not-learning",
        "Generator not learning: its weights hardly change",
        generator_not_learning,
        "Its steps are far smaller than those of the discriminator. Its learning rate is too low, or its weights "
        "are frozen.",
        "",
        ("generator_update_ratio", "discriminator_update_ratio"),
        ADVERSARIAL,
        (BALANCED,),
    ),
    Rule(
        "flat-losses",
        "Flat losses: both losses are still where they began",
        flat_losses,
        "Neither player has learned anything. The learning rates are too low, or the optimizers minimise "
        "something else.",
        "",
        ("discriminator_loss", "generator_loss"),
        ("gan",),
        (BALANCED,),
    ),
    Rule(
        "oscillation",
        "Oscillation: evaluations go up and down without improving",
        oscillation,
        "The players circle around their equilibrium, and each undoes what the other did. The steps are too "
        "large, or nothing damps the oscillation.",
        "Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge? "
        "arXiv:1801.04406",
        ("criterion",),
        ("gan",),
        (
            R1,
            BALANCED,
            Remedy([Change("ema", to=0.999)], "Averaged weights stay near the centre of the oscillation."),
        ),
    ),
    Rule(
        "unbalanced-updates",
        "Unbalanced updates: one player's weights change far more than the other's",
        unbalanced_updates,
        "The faster player has moved on before the slower one can react. The two learning rates do not fit each "
        "other.",
        "Heusel et al., 2017. GANs Trained by a Two Time-Scale Update Rule. arXiv:1706.08500",
        ("generator_update_ratio", "discriminator_update_ratio"),
        ADVERSARIAL,
        (BALANCED,),
    ),
    Rule(
        "uninformative-labels",
        "Uninformative labels: the class of real images cannot be predicted",
        uninformative_labels,
        "The auxiliary classifier is no better than chance. The labels were shuffled, or belong to other images.",
        "Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. "
        "arXiv:1610.09585",
        ("class_accuracy_real",),
        ("gan",),
        (UNLABELLED,),
    ),
    Rule(
        "adversary-dominates",
        "Adversary dominates: restored images are far less faithful than before the adversarial training",
        adversary_dominates,
        "The adversarial loss outweighs the distances to the original, so that details are invented where the "
        "source says otherwise. Its weight is too large, or the distances have too small ones.",
        "Blau and Michaeli, 2018. The Perception-Distortion Tradeoff. arXiv:1711.06077",
        ("psnr_lost",),
        ("adversarial-restoration",),
        (
            Remedy(
                [Change(f"{term}_weight", published=True) for term in ("adversarial", "perceptual", "pixel")],
                "The weights with which this preset is known to stay faithful.",
            ),
            Remedy(
                [Change("adversarial_weight", times=0.1)],
                "A smaller weight leaves invented details where they cost little.",
            ),
            Remedy([Change("lr", times=0.2)], "Smaller steps keep the network near where it was faithful."),
        ),
    ),
)
