"""VideoGPT: VQ-VAE and GPT over its codes, their training, their features (thesis chapter 4).

`config` needs no torch; everything else does.
"""

from encoders.videogpt.config import (
    PRESETS,
    GPTConfig,
    VideoGPTConfig,
    VQVAEConfig,
    preset,
)

__all__ = ["PRESETS", "GPTConfig", "VQVAEConfig", "VideoGPTConfig", "preset"]
