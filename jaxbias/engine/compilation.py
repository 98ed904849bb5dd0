"""Compiled programs kept from run to run, and what of them a killed process has torn."""

import contextlib
import zlib
from collections.abc import Callable
from pathlib import Path

import jax

from jaxbias.data.directories import home

# How JAX names its entries, and what is touched when all have been looked at.
_ENTRIES, _LOOKED = "*-cache", ".looked"


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's directory, unless a cache is set already.

    JAX writes an entry in place: what a killed process or a full disk has cut short would be read,
    and warned of, by every run from then on. It is deleted here, and compiled again.
    """
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(home() / "compilation"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    remove_torn(Path(jax.config.jax_compilation_cache_dir))


def remove_torn(directory: Path) -> list[Path]:
    """Deletes the entries that cannot be unpacked, of those written since the last look.

    Returns:
      Those that were deleted. One that another process is writing just now may be among them; it
      is written to its end unseen, and compiled again by whoever needs it next.
    """
    looked, torn = directory / _LOOKED, []
    with contextlib.suppress(OSError):  # No directory yet, of others, or no place on the disk.
        last = looked.stat().st_mtime if looked.exists() else 0.0
        looked.touch()
        for path in directory.glob(_ENTRIES):
            with contextlib.suppress(OSError):  # Another process may be deleting it too.
                if path.stat().st_mtime >= last and path.is_file() and not _is_whole(path):
                    path.unlink()
                    torn.append(path)
    return torn


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    unpack = _zstd() if content[:4] == b"\x28\xb5\x2f\xfd" else zlib.decompress
    try:
        unpack(content)
    except Exception:  # Each way of packing has its own errors.
        return False
    return True


def _zstd() -> Callable[[bytes], bytes]:
    """Returns what unpacks Zstandard, as JAX packs by it where it is installed."""
    with contextlib.suppress(ImportError):
        from compression import zstd  # Of Python 3.14.

        return zstd.decompress
    with contextlib.suppress(ImportError):
        import zstandard

        return zstandard.ZstdDecompressor().decompress
    return bytes  # JAX cannot read it either, and makes another.
