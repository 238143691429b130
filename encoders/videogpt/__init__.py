"""VideoGPT (thesis chapter 4): the VQ-VAE, the GPT over its codes, their training and features.

`config` is the only module that does not need torch.
"""

from encoders.videogpt.config import (
    PRESETS,
    GPTConfig,
    VideoGPTConfig,
    VQVAEConfig,
    preset,
)

__all__ = ["PRESETS", "GPTConfig", "VQVAEConfig", "VideoGPTConfig", "preset"]
