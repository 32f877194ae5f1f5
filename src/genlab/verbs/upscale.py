"""`genlab upscale`: pictures, enlarged by a model."""

from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.repainting import Drawing
from genlab.verbs.restoring import Restored, restored
from genlab.verbs.verb import verb


@verb
def upscale(
    run: RunName,
    pictures: ImagesName,
    *,
    truth: File | None = None,
    tile: int | None = None,
    ensemble: bool = False,
    alpha: float | None = None,
    scale: int | None = None,
    number: int = 1,
    jump_length: int | None = None,
    resampling: int | None = None,
    seed: int = 0,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Restored:
    """Enlarge pictures of any size by a model of super-resolution, or small ones by a diffusion model.

    A folder of PNGs is written, with the names of their sources. Models of super-resolution enlarge in tiles that
    overlap, without seams. Any diffusion model of pictures draws pictures of its own size that are the given ones
    if they are reduced again (RePaint). Transparency is enlarged by bicubic interpolation, and colour profiles are
    kept; of an animation only the first frame is taken. If the originals are given, PSNR and SSIM are measured,
    beside those of bicubic interpolation. A command that was killed goes on where it was if it is given again.

    Args:
        pictures: A picture, or a folder or zip of pictures, or the name of data of your own, whose held-out images
            are taken. In Python also an array of images.
        truth: Folder of the originals, with the names of the pictures, whose suffixes may differ; or the original
            of one picture.
        tile: With a model of super-resolution: sides in pixels of the parts that a picture is cut into, by default
            256; lower it if memory runs out. The result is the same.
        ensemble: With a model of super-resolution: take the mean over the eight ways to turn and mirror each tile:
            slightly better, and eight times as slow.
        alpha: Of runs of srgan and esrgan: from 0 for the most faithful pictures to 1 for the sharpest. By default
            as in the run.
        scale: With a diffusion model: how many times as long the sides become, from 2 to 8. Pictures have to have
            the size of the model's pictures, divided by it. By default as the size of the first picture says.
        number: With a diffusion model: different results of each picture, whose measures are averaged.
        jump_length: With a diffusion model: steps that RePaint undoes at once, by default 10.
        resampling: With a diffusion model: how often RePaint takes each step, by default 10; lower it if that
            takes too long.
        seed: Seed of the results of a diffusion model; what is drawn depends only on the seed and the name of the
            picture.
        out: The folder to write; a .csv and a .png of the same name are written next to it. By default in the run
            folder.

    Returns:
        The sizes and the measures, and the paths that were written; `table` reads those of each picture.

    Raises:
        UsageError: no such run or path, a model that enlarges nothing or fills holes, an option of another kind of
            model, pictures of a size that a diffusion model cannot enlarge, or an `out` that is a file or a folder
            with files.
        GenlabError: the model does not restore pictures, and is no diffusion model.
    """
    return restored(
        "upscale",
        run,
        pictures,
        truth=truth,
        tile=tile,
        ensemble=ensemble,
        alpha=alpha,
        drawing=Drawing(scale, number, jump_length, resampling, seed),
        out=out,
        checkpoint=checkpoint,
        device=device,
        root=root,
    )
