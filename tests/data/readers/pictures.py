"""Pictures that can be told apart, and the columns of a source."""

from pathlib import Path

from PIL import Image

from jaxbias.data.source import Source


def shade(number: int) -> int:
    """The grey of picture `number`: far enough apart to survive JPEG."""
    return 8 * number + 4


def paint(path: Path, number: int, size: tuple[int, int] = (20, 16)) -> None:
    """Writes picture `number`, a grey of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.new("RGB", size, (shade(number),) * 3).save(path, kind)


def values(source: Source, column: str) -> list:
    """The values of a column, None where unknown."""
    return source.table[column].astype(object).where(source.table[column].notna(), None).tolist()
