"""Times as the records write them: UTC, ISO 8601 with `Z`."""

import re
from datetime import UTC, datetime, timedelta

from agentos.errors import Usage

EXAMPLES = "Write 2026-02-02, 2026-02-02T10:30Z, yesterday, or 2 days ago."

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def stamp(moment: datetime) -> str:
    """`2026-02-02T10:30:00Z`; with milliseconds only where the moment has them."""
    utc = moment.astimezone(UTC)
    spec = "milliseconds" if utc.microsecond else "seconds"
    return utc.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def compact(moment: datetime, timespec: str = "seconds") -> str:
    """The moment as a file name begins with it: `20260202T103000Z`, or `20260202T103000.123Z`."""
    plain = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec)
    return plain.replace("-", "").replace(":", "") + "Z"


def parse(text: str) -> datetime:
    """The moment that a record's time means; a date alone is its first second. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


AGO = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}
"""The lengths that can be `ago`, in seconds."""


def when(text: str, now: datetime) -> datetime | None:
    """The moment that a person's words mean; None where they are no date, such as a revision.

    Understood are a time with its zone (`2026-02-02T10:30Z`), a day, which is its end in UTC so that what
    happened on it counts (`2026-02-02`, `today`, `yesterday`), and `2 days ago` (or minutes, hours, weeks).
    Raises Usage for what looks like a date and is none.
    """
    words = text.strip().lower()
    try:
        if words in ("today", "yesterday"):
            return _end_of_day(now.astimezone(UTC) - timedelta(days=words == "yesterday"))
        if ago := re.fullmatch(r"(\d{1,9}) (minute|hour|day|week)s? ago", words):
            return now - timedelta(seconds=int(ago[1]) * AGO[ago[2]])
        if re.fullmatch(r"\d{4}-\d\d-\d\d", words):
            return _end_of_day(parse(words))
        if re.fullmatch(r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(z|[+-]\d\d:\d\d)", words):
            return datetime.fromisoformat(words.upper())
    except (ValueError, OverflowError):
        raise Usage(f"{text!r}: the calendar has no such moment. {EXAMPLES}") from None
    if words.endswith(" ago") or re.fullmatch(r"\d{4}-\d\d?-[\d:tz. +-]*", words):
        raise Usage(f"{text!r} is not how a time is written. {EXAMPLES}")
    return None


def _end_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=23, minute=59, second=59, microsecond=0)


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
