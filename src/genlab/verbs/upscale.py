"""`genlab upscale`: pictures, enlarged by a model."""

from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.restoring import Restored, restored
from genlab.verbs.verb import verb


@verb
def upscale(
    run: RunName,
    pictures: ImagesName,
    *,
    truth: File | None = None,
    tile: int = 256,
    ensemble: bool = False,
    alpha: float | None = None,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Restored:
    """Enlarge pictures of any size by a model of super-resolution: a folder of PNGs.

    They have the names of their sources; large ones are enlarged in tiles that overlap, without seams.
    Transparency is enlarged by bicubic interpolation, and colour profiles are kept; of an animation only the first
    frame is taken. If the originals are given, PSNR and SSIM are measured, beside those of bicubic interpolation.
    A command that was killed goes on where it was if it is given again.

    Args:
        pictures: A picture, or a folder or zip of pictures, or the name of data of your own, whose held-out images
            are taken. In Python also an array of images.
        truth: Folder of the originals, with the names of the pictures, whose suffixes may differ; or the original
            of one picture.
        tile: Sides in pixels of the parts that a picture is cut into; lower it if memory runs out. The result is
            the same.
        ensemble: Take the mean over the eight ways to turn and mirror each tile: slightly better, and eight times
            as slow.
        alpha: Of runs of srgan and esrgan: from 0 for the most faithful pictures to 1 for the sharpest. By default
            as in the run.
        out: The folder to write; a .csv and a .png of the same name are written next to it. By default in the run
            folder.

    Returns:
        The sizes and the measures, and the paths that were written; `table` reads those of each picture.

    Raises:
        UsageError: no such run or path, a model that enlarges nothing or fills holes, or an `out` that is a file
            or a folder with files.
        GenlabError: the model does not restore pictures.
    """
    return restored(
        "upscale",
        run,
        pictures,
        truth=truth,
        tile=tile,
        ensemble=ensemble,
        alpha=alpha,
        out=out,
        checkpoint=checkpoint,
        device=device,
        root=root,
    )
