"""Where training runs."""

import torch

from core.errors import InvalidInput
from tuning.recipe import Recipe


def settled(recipe: Recipe) -> Recipe:
    """The recipe with its device named: a GPU and one process, or the processor and the recipe's workers."""
    found = torch.cuda.is_available()
    if recipe.device == "cuda" and not found:
        raise InvalidInput('the recipe says device = "cuda", and torch sees no such device here: say "auto" or "cpu"')
    if found and recipe.device != "cpu":
        return recipe.model_copy(update={"device": "cuda", "workers": 1})
    return recipe.model_copy(update={"device": "cpu"})
