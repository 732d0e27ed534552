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
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    return timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None


def is_time(text: str) -> bool:
    """Whether the calendar has this moment."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def is_zone(name: str) -> bool:
    """Whether this machine knows a time zone."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def is_schedule(text: str) -> bool:
    """Whether an interval or a cron expression can ever come due."""
    if re.fullmatch(r"\d{1,9}[smhd]", text):
        return int(text[:-1]) > 0
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return True


def next_after(cron: str, zone: str, moment: datetime) -> datetime:
    """When a cron expression comes next after a moment, in a time zone."""
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

    return next(CronSim(cron, moment.astimezone(ZoneInfo(zone))))
