"""The checks at the end of `up`, at any other time and from outside the cluster: ``python -m verification``."""
