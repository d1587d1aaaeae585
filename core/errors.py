"""What can go wrong, as one tree; a class's docstring is its default message and says what to do next.

UnderstudyError
├── InvalidInput
│   ├── InvalidSettings
│   └── TooLarge
├── NotFound
│   └── VersionNotKept
├── Unauthorized
├── Forbidden
├── Conflict
│   ├── NoReadyTier
│   ├── NothingPublished
│   ├── EmbedderMismatch
│   ├── SyncRunning
│   └── SourcesHeld
├── ParseFailed
├── Damaged
│   ├── CorruptIndex
│   ├── CorruptModel
│   └── UnusableDatabase
├── StorageFull
├── Unavailable
│   ├── TierFailed
│   │   └── AllTiersFailed
│   │       ├── BadUpstream
│   │       └── UpstreamTimeout
│   └── PortTaken
└── MissingExtra

Beside it stand TierCancelled and AnswerCancelled: they are cancellations, and carry what the work had cost by then.
"""

from asyncio import CancelledError

from core.types import Answer, Attempt, Fault, Spending


class UnderstudyError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class InvalidInput(UnderstudyError):
    """The input is not valid."""


class InvalidSettings(InvalidInput):
    """A setting is not valid: see .env.example for every setting and its values."""


class TooLarge(InvalidInput):
    """That is larger than this server takes: raise UNDERSTUDY_SERVER__MAX_UPLOAD_BYTES or send less."""


class NotFound(UnderstudyError):
    """There is no such thing here."""


class VersionNotKept(NotFound):
    """That version is not kept any more, or never was: `understudy versions` shows those that are."""


class Unauthorized(UnderstudyError):
    """This server needs an API key: send it as `Authorization: Bearer <key>`; `understudy keys create` makes one."""


class Forbidden(UnderstudyError):
    """This key's scopes do not allow that: make one that does with `understudy keys create --scope admin`."""


class Conflict(UnderstudyError):
    """That cannot be done in the present state."""


class NoReadyTier(Conflict):
    """No tier of this mode is ready: `understudy generator show` says why."""


class NothingPublished(Conflict):
    """Nothing is indexed yet: run `understudy ingest PATH` first."""


class EmbedderMismatch(Conflict):
    """The index was built by an embedder that cannot be opened any more: `understudy rebuild` builds it again with this one."""


class SyncRunning(Conflict):
    """Another sync is running: wait for it to end, then try again."""


class SourcesHeld(Conflict):
    """`understudy sync --release` reads the sources again, and brings back what they hold."""


class ParseFailed(UnderstudyError):
    """This file could not be read."""


class Damaged(UnderstudyError):
    """Stored data is damaged."""


class CorruptIndex(Damaged):
    """The index is damaged or gone: `understudy rebuild` makes it again from the database without a model call, as does the next sync."""


class CorruptModel(Damaged):
    """A model file is damaged or missing: restore models/ from the repository."""


class UnusableDatabase(Damaged):
    """The database cannot be used by this version."""


class StorageFull(UnderstudyError):
    """The disk is full: free some space and run the command again; what was published before is still served."""


class Unavailable(UnderstudyError):
    """That cannot be reached at the moment."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which it may be asked again, where it is known."""


class TierFailed(Unavailable):
    """The tier did not answer."""

    def __init__(
        self,
        message: str | None = None,
        *,
        fault: Fault = "broken",
        retry_after: float | None = None,
        model: str | None = None,
        spending: Spending | None = None,
        earlier: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.fault: Fault = fault
        self.model = model
        self.spending = spending or Spending()
        """What it cost all the same: a refusal and a cut stream are charged too."""
        self.earlier = earlier
        """Tries that failed before the one that this tells of, each with its own cost."""

    @property
    def reason(self) -> str:
        """As the route tells it."""
        return str(self) if self.fault == "broken" else f"{self.fault}: {self}"


class AllTiersFailed(TierFailed):
    """No tier answered: try again later."""

    def __init__(self, message: str, answer: Answer, *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.answer = answer
        """Empty but for the attempts, which are recorded like any others."""


class BadUpstream(AllTiersFailed):
    """The frontier model gave no answer that can be used: try again later."""


class UpstreamTimeout(AllTiersFailed):
    """The frontier model did not answer in time: try again later."""


class PortTaken(Unavailable):
    """The port is taken: choose another with `--port`."""


class MissingExtra(UnderstudyError):
    """An optional package is missing."""


class TierCancelled(CancelledError):
    """Nobody waits for the tier any more. Raised in the handler of the cancellation that it stands for, with its `args`."""

    def __init__(
        self, *args: object, model: str | None = None, spending: Spending | None = None, earlier: tuple[Attempt, ...] = ()
    ) -> None:
        super().__init__(*args)
        self.model = model
        self.spending = spending or Spending()
        self.earlier = earlier
        """Tries that failed before, each with its own cost."""


class AnswerCancelled(CancelledError):
    """Nobody waits for the answer any more."""

    def __init__(self, *args: object, answer: Answer) -> None:
        super().__init__(*args)
        self.answer = answer
        """Empty but for the attempts, which are recorded like any others."""
