"""Training of both models: settings, data, one loop, checkpoints that resume exactly."""
