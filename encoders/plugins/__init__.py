"""Built-in encoders: one file each; a file's attribute ``ENCODER`` makes the encoder."""
