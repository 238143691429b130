"""Built-in encoders, one module each; its attribute ``ENCODER`` is the encoder's class."""
