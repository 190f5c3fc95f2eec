"""Images in, split and preprocessed (floor 2)."""

from edgekit.data.choice import CalibrationRecipe, calibration_recipe
from edgekit.data.dataset import Dataset, Split, SplitName
from edgekit.data.pictures import images
from edgekit.data.sources import load
from edgekit.data.unlabelled import unlabelled

__all__ = [
    "CalibrationRecipe",
    "Dataset",
    "Split",
    "SplitName",
    "calibration_recipe",
    "images",
    "load",
    "unlabelled",
]
