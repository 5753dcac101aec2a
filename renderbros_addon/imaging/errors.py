"""What goes wrong with images."""

from __future__ import annotations


class CheckerFailed(Exception):
    """The image checker itself is in trouble: this says nothing about the image, which can be looked at again."""


class ImageError(Exception):
    """An image that can't be read, is not what it should be, or can't be written. The message is for people."""
