"""What kind of file a checkpoint is, by its first bytes: downloads fail, and suffixes are wrong."""

import zipfile
from pathlib import Path

from jaxbias.errors import InputError
from jaxbias.weights.limits import refuse_large

NUMPY, SAFETENSORS, PYTORCH = "NumPy's (.npz)", "safetensors' (.safetensors)", "PyTorch's (.pth)"

_AGAIN = "fetch it again"
_HEAD = 512  # Bytes that tell.
_LONGEST_HEADER = 100 * 10**6  # Bytes of a safetensors header; its library reads no longer one.
# PyTorch's older files begin with this number, pickled by protocols 2 and up, or 0 and 1.
_PYTORCH_MAGIC = (b"l\xfc\x9cF\xf9 j\xa8P\x19", b"L119547037146038801333356L")
_MAGIC = (
    (b"\x93NUMPY", "one array of NumPy (.npy)", "save named arrays with numpy.savez"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", "save named arrays with numpy.savez"),
    (b"\x1f\x8b", "compressed by gzip", "gunzip it"),
    (b"BZh", "compressed by bzip2", "bunzip2 it"),
    (b"\xfd7zXZ\x00", "compressed by xz", "unxz it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unzstd it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"\xff\xd8\xff", "a JPEG image", _AGAIN),
    (b"\x89PNG", "a PNG image", _AGAIN),
    (b"%PDF", "a PDF document", _AGAIN),
    (b"version https://git-lfs", "a pointer of git-lfs in place of the file", "run `git lfs pull`"),
)
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<error")


def refuse_other(path: Path, wanted: str) -> None:
    """Refuses a file that is not of the kind its suffix says.

    Raises:
      InputError: so it is, or it is too large or cannot be read; the message says what it looks
        like and the way out.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
        refuse_large(path, "the file", size)
        found, way_out = _looks_like(path, head, size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if found == wanted:
        return
    if found in (NUMPY, SAFETENSORS, PYTORCH):
        suffix = found.partition("(")[2].removesuffix(")")
        found, way_out = f"a file of {found}", f"rename it so that it ends in {suffix}"
    raise InputError(f"{path} is no file of {wanted}: it is {found}; {way_out}")


def _looks_like(path: Path, head: bytes, size: int) -> tuple[str, str]:
    """Returns what a file is, and what to do if that is not what is wanted."""
    if not head:
        return "empty", _AGAIN
    if head.startswith(b"PK"):
        return _archive(path)
    if any(magic in head[:64] for magic in _PYTORCH_MAGIC):
        return PYTORCH, ""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return SAFETENSORS, ""
    for magic, what, way_out in _MAGIC:
        if head.startswith(magic):
            return what, way_out
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it and give the file inside"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "a Python pickle, which may run anything when read; refused",
            "save the network's state_dict() with torch.save, or arrays with numpy.savez",
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return (
            "a web page, such as a server sends instead of a file",
            f"{_AGAIN}, signed in if need be",
        )
    text = head.decode("utf-8", "replace")[:40]
    if all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return f"a text that begins with {text!a}", _AGAIN
    return f"of no known kind (its first bytes are {head[:8].hex(' ')}, of {size:,})", _AGAIN


def _archive(path: Path) -> tuple[str, str]:
    """Returns what a zip archive holds.

    Raises:
      InputError: it is cut short, encrypted, or unpacks to more than is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # A damaged directory raises whatever its fields lead to.
        raise InputError(
            f"{path} is damaged or cut short: a zip archive without a whole table of contents; "
            f"{_AGAIN}"
        ) from error
    if any(member.flag_bits & 1 for member in members):
        raise InputError(f"{path} is encrypted; save it without a password")
    refuse_large(path, "the content", sum(member.file_size for member in members))
    names = [member.filename for member in members]
    if any(name.endswith("/constants.pkl") for name in names):
        return (
            "a TorchScript program, which is run to be read",
            "save torch.jit.load(FILE).state_dict() with torch.save",
        )
    if any(name.endswith("/data.pkl") for name in names):
        return PYTORCH, ""
    if any(name.endswith(".npy") for name in names):
        return NUMPY, ""
    held = ", ".join(names[:3]) if names else "nothing"
    return (
        f"a zip archive of other files ({held[:80]!a})",
        "unpack it and give the file inside",
    )
