"""Comparing what was said with what was heard."""

from __future__ import annotations

import jiwer


def share_right(said: str, heard: str) -> float:
    """Give 1 - WER, at least 0."""
    return max(0.0, 1.0 - jiwer.wer(said, heard)) if heard else 0.0
