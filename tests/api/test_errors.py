"""Every error has the status that was meant for it."""

from collections.abc import Iterator

import pytest

from api.errors import error_of, problem_of, status_of
from core import errors
from core.errors import NoReadyTier, NotFound, UnderstudyError

INTENDED = {
    errors.InvalidSettings: 500,
    errors.TooLarge: 413,
    errors.VersionNotKept: 404,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NoReadyTier: 409,
    errors.NothingPublished: 409,
    errors.EmbedderMismatch: 409,
    errors.SyncRunning: 409,
    errors.SourcesHeld: 409,
    errors.ParseFailed: 422,
    errors.CorruptIndex: 503,
    errors.CorruptModel: 500,
    errors.UnusableDatabase: 500,
    errors.StorageFull: 507,
    errors.BadUpstream: 502,
    errors.UpstreamTimeout: 504,
    errors.PortTaken: 503,
    errors.MissingExtra: 501,
}


def leaves(kind: type[UnderstudyError] = UnderstudyError) -> Iterator[type[UnderstudyError]]:
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    for child in children:
        yield from leaves(child)
    if not children:
        yield kind


@pytest.mark.parametrize("kind", list(leaves()), ids=lambda kind: kind.__name__)
def test_status_of_every_leaf_is_the_intended_one(kind: type[UnderstudyError]) -> None:
    assert status_of(kind) == INTENDED[kind]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidInput, 422),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.AllTiersFailed, 503),
        (UnderstudyError, 500),
        (ValueError, 500),
    ],
)
def test_status_of_a_branch_or_a_stranger_comes_from_its_ancestors(kind: type[BaseException], status: int) -> None:
    assert status_of(kind) == status


def test_problem_names_its_type_title_status_and_detail() -> None:
    assert problem_of(NoReadyTier("none")) == {
        "type": "urn:understudy:problem:no-ready-tier",
        "title": "No ready tier",
        "status": 409,
        "detail": "none",
    }


@pytest.mark.parametrize("kind", [kind for kind in leaves() if not issubclass(kind, errors.AllTiersFailed)], ids=lambda kind: kind.__name__)
def test_error_survives_the_way_through_another_process(kind: type[UnderstudyError]) -> None:
    told = error_of(problem_of(kind("what to do")))
    assert (type(told), str(told)) == (kind, "what to do")


def test_error_of_an_unknown_problem_keeps_its_words() -> None:
    told = error_of({"type": "urn:understudy:problem:of-tomorrow", "detail": "words"})
    assert (type(told), str(told)) == (UnderstudyError, "words")
    assert str(NotFound()) == "There is no such thing here."
