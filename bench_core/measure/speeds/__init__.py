"""What `ridgebench calibrate` times: kernels, memory, whole fits and the exchange between nodes."""
