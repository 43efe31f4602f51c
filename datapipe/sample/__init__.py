"""The embedded sample corpus: photo-like talking heads with a known truth, in the layouts of real corpora."""

from .config import SampleConfig
from .make import SampleReport, make_sample

__all__ = ["SampleConfig", "SampleReport", "make_sample"]
