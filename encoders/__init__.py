"""Feature extractors for brain encoding, each a plug-in; this package knows nothing of strategies."""
