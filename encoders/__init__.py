"""Feature extractors for brain encoding, each a plug-in; nothing here knows of strategies."""
