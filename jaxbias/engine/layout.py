"""Layouts: on what and how a process runs packs, recorded with each result.

A layout is of whoever takes a pack, never of the pack: trained bits are equal where layouts are.
"""

import dataclasses
from typing import Any

import jax

from jaxbias.targets import target


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one process runs packs.

    Attributes:
      mode: how variants are mapped on a device.
      devices: over how many devices packs are split.
      store: where the images are during training, "device" or "host".
      trunks: whether what frozen trunks of imported weights make of the images is stored, for
        mode "last_block" to train on.
    """

    mode: str
    devices: int
    store: str = "device"
    trunks: bool = False

    @property
    def devices_told(self) -> dict[str, Any]:
        """What events tell of the devices; JSON-able."""
        return {"device": target().device, "devices": self.devices}

    def record(self, width: int) -> dict[str, Any]:
        """Returns what is recorded with a result that ran in programs of a width; JSON-able."""
        at = target()
        there = {"platform": at.platform, "device": at.device}
        # Of studies without such trunks earlier versions recorded nothing of them.
        told = {k: v for k, v in dataclasses.asdict(self).items() if k != "trunks" or v}
        return {**there, **told, "width": width, "jax": jax.__version__}
