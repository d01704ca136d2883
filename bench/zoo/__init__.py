"""Model families for accuracy measurements: plain PyTorch models as users write them, 3 to 6 variants per family.

The models know nothing of MMT. Sizes are such that a variant runs for some 2 to 40 ms on one CPU core.

    from zoo import families
    for family, variants in families().items():
        for variant in variants:
            model = variant.build()
"""

from __future__ import annotations

from . import (
    branches,
    convnext,
    dense,
    fire,
    ghost,
    grouped,
    hourglass,
    inception,
    inverted,
    mixer,
    norms,
    recurrent,
    residual,
    shuffle,
    squeeze_excite,
    styles,
    temporal,
    unet,
    vit,
)
from .variant import Input, Variant

__all__ = ["Input", "Variant", "families"]

_FAMILIES = (
    residual,
    inverted,
    dense,
    fire,
    shuffle,
    ghost,
    grouped,
    squeeze_excite,
    hourglass,
    vit,
    mixer,
    recurrent,
    convnext,
    branches,
    temporal,
    styles,
    unet,
    inception,
    norms,
)


def families() -> dict[str, list[Variant]]:
    """Family name -> its variants. The family's name is its file's."""
    return {module.__name__.rsplit(".", 1)[-1]: module.variants() for module in _FAMILIES}
