"""The picture formats that are read, and the names of some that are not."""

from typing import BinaryIO

# A fixed list, so that nothing else is tried: Pillow would hand an EPS file to Ghostscript.
# TGA comes last, because its files have no mark of their own.
READ = (
    *("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000"),
    *("ICO", "ICNS", "PSD", "DDS", "QOI", "SGI", "SUN", "PCX", "XBM", "XPM", "TGA"),
)
# Formats that are decoded in one piece, or by Python: they take more memory and time for each pixel.
MEGAPIXELS = {"WEBP": 48, "AVIF": 48, "JPEG2000": 32, "QOI": 8, "DDS": 8, "XPM": 8, "ICNS": 8, "ICO": 8}
FILE_LIMIT = 2**29  # bytes of a picture file

_CONVERT = "convert it to PNG, for example"
_VIDEO = f"it is a video; {_CONVERT} with `ffmpeg -i VIDEO %06d.png`"
_VECTOR = f"it is vector graphics; {_CONVERT}"
_MARKS = (  # position, the bytes there, name, why it is not read
    (0, b"%!PS", "EPS", _VECTOR),
    (0, b"\xc5\xd0\xd3\xc6", "EPS", _VECTOR),
    (0, b"%PDF", "PDF", f"it is a document; {_CONVERT} with `pdftoppm -png`"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF", _VECTOR),
    (40, b" EMF", "EMF", _VECTOR),
    (0, b"<svg", "SVG", _VECTOR),
    (4, b"ftypavif", "AVIF", f"the installed Pillow cannot read it, or it is damaged; {_CONVERT}"),
    (4, b"ftyphei", "HEIC", f"Pillow cannot read it; {_CONVERT} with `heif-convert`"),
    (4, b"ftyphev", "HEIC", f"Pillow cannot read it; {_CONVERT} with `heif-convert`"),
    (4, b"ftypmif1", "HEIF", f"Pillow cannot read it; {_CONVERT} with `heif-convert`"),
    (0, b"\xff\x0a", "JPEG XL", f"Pillow cannot read it; {_CONVERT} with `djxl`"),
    (4, b"JXL ", "JPEG XL", f"Pillow cannot read it; {_CONVERT} with `djxl`"),
    (0, b"v/1\x01", "OpenEXR", "its pixels are floats, whose range is unknown"),
    (0, b"#?RADIANCE", "Radiance HDR", "its pixels are floats, whose range is unknown"),
    (0, b"\x89HDF", "HDF5", "it holds arrays: save them as .npz"),
    (4, b"ftyp", "MP4", _VIDEO),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM", _VIDEO),
    (0, b"\x00\x00\x01\xba", "MPEG", _VIDEO),
)


def not_read(file: BinaryIO) -> str | None:
    """Return why a file that is none of `READ` is not read, if its format is known by its first bytes."""
    file.seek(0)
    head = file.read(1024)
    for at, mark, name, why in _MARKS:
        if head[at : at + len(mark)] == mark:
            return f"{name} is not read: {why}"
    if b"<svg" in head:  # after a declaration or a comment
        return f"SVG is not read: {_VECTOR}"
    return None
