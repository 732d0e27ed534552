"""Secrets in texts: found by their published formats, and redacted before anything is kept."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

MARK = "[redacted]"

LEAST = 6
"""Characters that a known secret must have to be looked for; shorter ones would be everywhere."""

LONG = 12
"""Characters from which on a known secret is found with line ends or spaces between them, too."""

_NAMED = re.compile(r"(?i)KEY|TOKEN|SECRET|PASSW|CREDENTIAL")
"""What the name of a variable says whose value is a secret, whatever it looks like."""

GIVEN = "the value of a variable that the run was given"

_FORMATS: dict[str, str] = {
    # docs.github.com, "About authentication to GitHub": token formats
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    # docs.gitlab.com, "Token overview": prefixes
    "GitLab token": r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_.-]{20,}",
    # docs.aws.amazon.com, "IAM identifiers": unique ID prefixes
    "AWS access key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    # docs.anthropic.com and platform.openai.com: keys begin with sk-ant- and sk-, sk-proj-, sk-svcacct-
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "OpenAI key": r"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})",
    "OpenRouter key": r"\bsk-or-v1-[0-9a-f]{64}\b",
    # cloud.google.com, "Using API keys"; gsi: client secrets
    "Google key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "Google client secret": r"\bGOCSPX-[A-Za-z0-9_-]{28}\b",
    # api.slack.com, "Token types"
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "Slack web hook": r"https://hooks\.slack\.com/services/T[A-Za-z0-9_]+/B[A-Za-z0-9_]+/[A-Za-z0-9_]{20,}",
    # stripe.com/docs/keys
    "Stripe key": r"\b[sr]k_live_[A-Za-z0-9]{16,}",
    # huggingface.co/docs/hub/security-tokens
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    # npm docs, "About access tokens"; PyPI help, "API tokens"
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    # docs.sendgrid.com; www.twilio.com/docs
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b",
    # RFC 7519: three base64url parts, the first two of which are JSON objects
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    # RFC 7468 and OpenSSH's PROTOCOL.key
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----END)[\s\S]){0,20000}(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    # RFC 3986: a password in the authority of an address
    "password in an address": r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"'<>]{1,200}:(?!\$|\{|<|\*)[^\s/@\"'<>]{6,200}@",
    # RFC 6750
    "bearer token": r"(?i)\bauthorization\s*[:=]\s*[\"']?bearer\s+[a-z0-9._~+/-]{16,}=*",
}
"""What a secret of each kind looks like, each from the page of those who give it out."""

_KINDS = {kind: re.compile(pattern) for kind, pattern in _FORMATS.items()}


def named(env: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables that are secrets by their names."""
    return tuple(value for name, value in env.items() if _NAMED.search(name) and len(value) >= LEAST)


def find(text: str, known: Iterable[str] = ()) -> list[str]:
    """The kinds of secrets that a text holds, each once; never the secrets themselves."""
    found = [kind for kind, pattern in _KINDS.items() if pattern.search(text)]
    return found + ([GIVEN] if any(_known(value).search(text) for value in known) else [])


def redact(text: str, known: Iterable[str] = ()) -> str:
    """The text with every secret replaced: those of a published format, and the values that are `known`."""
    for value in sorted(known, key=len, reverse=True):
        if len(value) >= LEAST:
            text = _known(value).sub(MARK, text)
    for pattern in _KINDS.values():
        text = pattern.sub(MARK, text)
    return text


def is_begun(text: str, known: Iterable[str]) -> bool:
    """Whether a known value may have begun at the end of a text, and go on in the lines that follow."""
    for form in (form for value in known if len(value) >= LEAST for form in _forms(value)):
        flat = re.sub(r"\s", "", text[-4 * len(form) :])[1 - len(form) :]
        if any(form.startswith(flat[at.start() :]) for at in re.finditer(re.escape(form[0]), flat)):
            return True
    return False


@lru_cache(maxsize=256)
def _known(value: str) -> re.Pattern[str]:
    """What a value looks like, in every form."""
    return re.compile("|".join(map(_broken, _forms(value))))


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[str, ...]:
    """A value as it is, and as programs write it: in JSON, in an address, in base64, in hexadecimal digits;
    the longest first. Whoever means to can always write it in another way."""
    forms = dict.fromkeys((value, *_written(value.encode(errors="replace")), *_quoted(value)))
    return tuple(sorted(forms, key=len, reverse=True))


def _broken(form: str) -> str:
    """A pattern for a form, whatever white space a program has put into it; none is looked for in one that
    has some, since that could take for ever."""
    if len(form) < LONG or re.search(r"\s", form):
        return re.escape(form)
    return r"\s*".join(map(re.escape, form))


def _quoted(value: str) -> Iterator[str]:
    for is_ascii in (True, False):
        yield json.dumps(value, ensure_ascii=is_ascii)[1:-1]
    for safe in ("", "/"):
        yield quote(value, safe=safe, errors="replace")


def _written(data: bytes) -> Iterator[str]:
    """Hexadecimal digits, and the part of base64 that is the same whatever stands before and after.

    A group of three bytes is four characters; with `before` bytes of something else in the first group, some
    at its beginning are not ours alone, nor is one at the end that has bits of what follows.
    """
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        text = base64.b64encode(bytes(before) + data)
        part = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].decode()
        yield part
        yield part.translate(str.maketrans("+/", "-_"))
