"""Addresses of git sources: `git+https://host/repo@ref#subdirectory=docs`, as pip writes them."""

import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, quote, unquote, urlsplit

from core.errors import InvalidInput

PREFIX = "git+"
_SCHEMES = ("file", "https", "ssh")
_FORMS = "write git+file:///path/repo, git+https://host/repo or git+ssh://git@host/repo, then perhaps @REF and #subdirectory=FOLDER"
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What git refuses in a ref, and what would make a refspec or an option of it.
_NO_REF = re.compile(r"^[-+/.]|[\x00-\x20\x7f:?*\[\\^~]|\.\.|@\{|//|/\.|[./]$|\.lock$")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SECRET = re.compile(r"(\w+://)[^/@\s']+@")
_QUERY = re.compile(r"\?[^\s'#]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class GitAddress:
    url: str
    """As git takes it, without secrets."""
    ref: str | None
    """A branch, a tag or a whole commit id; None follows the remote's own choice."""
    folder: str
    """The part of the repository that is read, with slashes; empty for all of it."""

    @property
    def location(self) -> str:
        """All of it but the ref: the same place at another ref is the same source."""
        return f"{PREFIX}{self.url}" + (f"#subdirectory={quote(self.folder)}" if self.folder else "")

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.url).path).rstrip("/").rpartition("/")[2].removesuffix(".git") or "repository"

    @property
    def is_fixed(self) -> bool:
        """Whether the ref names a commit, which never moves."""
        return self.ref is not None and _COMMIT.fullmatch(self.ref) is not None


def is_git_address(text: str) -> bool:
    return text.startswith(PREFIX)


def parse_address(text: str) -> GitAddress:
    """Raises InvalidInput, in whose message no password appears."""
    if not text.isprintable():
        raise InvalidInput(f"{without_secrets(text)!r} holds characters that cannot be printed; {_FORMS}")
    try:
        parts = urlsplit(text.removeprefix(PREFIX))
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{without_secrets(text)!r} is no address ({error}); {_FORMS}") from error
    _check_place(parts, without_secrets(text))
    path, at, ref = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
    if (at and _NO_REF.search(ref)) or (at and not ref):
        raise InvalidInput(f"{ref!r} can be no branch, tag or commit; an @ in a path is written %40")
    authority = parts.netloc if port is None or parts.scheme != "file" else ""
    return GitAddress(url=f"{parts.scheme}://{authority}{path}", ref=ref or None, folder=_folder(parts.fragment))


def of_location(location: str, ref: str | None) -> GitAddress:
    """The address that is kept as two columns."""
    return replace(parse_address(location), ref=ref)


def without_secrets(text: str) -> str:
    return _QUERY.sub("?***", _SECRET.sub(r"\1***@", text))


def _check_place(parts: SplitResult, shown: str) -> None:
    user, _, host = parts.netloc.rpartition("@")
    host = host.removesuffix(f":{parts.port}")
    if parts.scheme not in _SCHEMES or not parts.path.strip("/"):
        raise InvalidInput(f"{shown!r} is no git address that is read; {_FORMS}")
    if parts.query or (user and (parts.scheme != "ssh" or not _USER.fullmatch(user))):
        raise InvalidInput(
            f"{shown!r} would keep a secret in the database: leave user, password and query out, and give them to git itself"
            " (a credential helper, .netrc or an SSH key)"
        )
    if parts.scheme == "file" and parts.netloc:
        raise InvalidInput(f"{shown!r} names a host: a repository on this machine is git+file:///path/repo, with three slashes")
    if parts.scheme != "file" and not _HOST.fullmatch(host):
        raise InvalidInput(f"{shown!r} names no host; {_FORMS}")


def _folder(fragment: str) -> str:
    if not fragment:
        return ""
    key, _, value = fragment.partition("=")
    steps = unquote(value).strip("/").split("/")
    if key != "subdirectory" or any(step in ("", ".", "..") for step in steps) or not all(step.isprintable() for step in steps):
        raise InvalidInput(f"'#{fragment}' names no folder of the repository: write #subdirectory=docs")
    return "/".join(steps)
