"""One file per tier: ``<Tier>Args`` and ``<Tier>``, and the builders they share."""
