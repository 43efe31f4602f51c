"""The figures, by name."""

from .figure_conditioning import fig5
from .figure_curves import fig11
from .figure_flicker import fig4b
from .figure_growth import fig10
from .figure_people import fig9

__all__ = ["fig4b", "fig5", "fig9", "fig10", "fig11"]
