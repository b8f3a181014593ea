"""Models on this machine: what engines and the command line need to know of them."""

from scribewire.engines.models.folder import find_model, languages_of

__all__ = ["find_model", "languages_of"]
