"""Files that need PyTorch and are no tests are not searched for doctests."""

collect_ignore = ["make_golden.py", "pytorch.py"]
