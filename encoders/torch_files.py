"""Reading of torch's files: tensors and plain values only, no code, and the user's errors."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench_core.errors import InputError

_CODE = re.compile(r"(?:GLOBAL|global|class|Unsupported) ([A-Za-z_][\w.]*\.[A-Za-z_]\w*)")


def load_plain(path: Path, *, allowed: Sequence[Any] = ()) -> Any:
    """Return the content of a file that `torch.save` wrote, on the CPU.

    Parameters
    ----------
    allowed : classes besides tensors and plain values that the file may hold.

    Raises `InputError` for a file that is missing, damaged or cut short, and for one that holds
    code, which is not run.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file: give a file of weights or a checkpoint")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(allowed)):
            warnings.simplefilter("ignore")  # torch's remarks on the pickle's protocol
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = _CODE.search(str(error))
        if code is not None:
            raise InputError(
                f"{path} holds code ({code[1]}), which is not run: save its state_dict and plain "
                "values alone"
            ) from None
        raise InputError(f"{path} is damaged or not a torch file: {_AGAIN}") from None
    except Exception as error:  # a damaged file raises anything: OSError, UnicodeDecodeError, …
        # Without torch's own advice, which is for other callers.
        reason = re.split(r"\. |\n", str(error).strip())[0] or type(error).__name__
        raise InputError(
            f"{path} is damaged, cut short or not a torch file ({reason}): {_AGAIN}"
        ) from None


_AGAIN = "copy it again, or save it again with torch.save"
