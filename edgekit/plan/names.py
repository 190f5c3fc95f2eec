"""Names of tensors as people can read them."""

from __future__ import annotations


def short_name(name: str) -> str:
    """Of a name that is a path, or several joined by ';', what tells it from the others best.

    TensorFlow's converter joins the names of all that it fused into a tensor, full paths each.
    """
    return "/".join(name.split(";")[0].rstrip("/").split("/")[-2:]) or name
