"""Hosts of a TPU slice that work by themselves. From memory: no TPU was at hand to try it on."""

# Chips of a worker -> how they lie on the board.
_BOUNDS = {1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}


def alone(chips: int) -> dict[str, str]:
    """Returns what makes a worker's chips a topology of its own, or libtpu waits for its peers."""
    bounds = {"TPU_CHIPS_PER_PROCESS_BOUNDS": _BOUNDS[chips]} if chips in _BOUNDS else {}
    hosts = {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}
    return {"TPU_PROCESS_BOUNDS": "1,1,1", **bounds, **hosts}
