"""Arrays: devices, eigendecomposition, blocks of targets, and files of arrays."""
