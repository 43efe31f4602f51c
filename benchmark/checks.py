"""What the control rows must show: whatever a control breaks must cost it the metric that is about it."""

from __future__ import annotations

from collections.abc import Sequence

from .records import Check, MetricInfo, SystemRun


def check_controls(metrics: Sequence[MetricInfo], rows: Sequence[SystemRun]) -> tuple[Check, ...]:
    """Compare the control rows with the ground truth, metric by metric."""
    return ()
