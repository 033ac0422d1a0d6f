"""Dates of submissions, and a late policy for nbgrader: so many per cent of the points for each day begun."""

import math
from datetime import UTC, datetime

from dateutil.parser import parse
from nbgrader.plugins import BasePlugin
from traitlets import Float

DAY = 86_400


class PerDay(BasePlugin):
    """In nbgrader_config.py: c.AssignLatePenalties.plugin_class = "tinylib.classroom.late.PerDay"; c.PerDay.percent = 10."""

    percent = Float(10.0, help="per cent of the points that a day begun costs").tag(config=True)
    grace_minutes = Float(0.0, help="so late costs nothing").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Points to take from `score`; None for none. nbgrader asks only for submissions that are late (seconds)."""
        if total_seconds_late <= self.grace_minutes * 60:
            return None
        return min(score, score * self.percent / 100 * math.ceil(total_seconds_late / DAY))


def in_utc(text: str) -> datetime:
    """A date and time in UTC, without zone as nbgrader wants it. ValueError for none. (nbgrader's own reader takes "+0100" for 100 seconds.)"""
    when = parse(text)
    return when if when.tzinfo is None else when.astimezone(UTC).replace(tzinfo=None)
