"""Records: typed results of measurements, and the JSON files that hold them."""
