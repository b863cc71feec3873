"""What ``scripts/bench`` times: one module a workload, one module a peer in ``peers``."""
