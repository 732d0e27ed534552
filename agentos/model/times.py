"""Times as the records write them: UTC, ISO 8601 with `Z`."""

import re
from datetime import UTC, datetime, timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def stamp(moment: datetime) -> str:
    """`2026-02-02T10:30:00Z`; with milliseconds only where the moment has them."""
    utc = moment.astimezone(UTC)
    spec = "milliseconds" if utc.microsecond else "seconds"
    return utc.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def compact(moment: datetime) -> str:
    """The moment as a file name begins with it: `20260202T103000Z`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def parse(text: str) -> datetime:
    """The moment that a record's time means; a date alone is its first second. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def interval(text: str) -> timedelta | None:
    """`15m` as a length of time; None where the text is not an interval (a cron expression)."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    return timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
