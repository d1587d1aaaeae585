import pytest

from core.errors import InvalidInput
from ingest.git.address import parse_address, without_secrets


@pytest.mark.parametrize(
    ("text", "url", "ref", "folder", "name"),
    [
        ("git+file:///srv/repo", "file:///srv/repo", None, "", "repo"),
        ("git+file:///srv/handbook.git@main", "file:///srv/handbook.git", "main", "", "handbook"),
        ("git+https://host.example/team/docs.git@v1.2#subdirectory=a/b", "https://host.example/team/docs.git", "v1.2", "a/b", "docs"),
        ("git+https://host.example:8443/docs/", "https://host.example:8443/docs/", None, "", "docs"),
        ("git+ssh://git@host.example/team/docs@feature/x", "ssh://git@host.example/team/docs", "feature/x", "", "docs"),
        ("git+ssh://git@host.example:2222/~me/docs", "ssh://git@host.example:2222/~me/docs", None, "", "docs"),
        ("git+ssh://git@[::1]:22/docs", "ssh://git@[::1]:22/docs", None, "", "docs"),
        ("git+file:///srv/me%40home/caf%C3%A9@main", "file:///srv/me%40home/caf%C3%A9", "main", "", "café"),
        ("git+file:///srv/repo#subdirectory=/caf%C3%A9/", "file:///srv/repo", None, "café", "repo"),
    ],
)
def test_address_is_taken_apart(text: str, url: str, ref: str | None, folder: str, name: str) -> None:
    address = parse_address(text)
    assert (address.url, address.ref, address.folder, address.name) == (url, ref, folder, name)
    again = parse_address(address.location)
    assert (again.url, again.ref, again.folder) == (url, None, folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("git+ext::sh -c 'touch /tmp/x'", "no git address"),
        ("git+http://host.example/repo", "no git address"),
        ("git+https://host.example/", "no git address"),
        ("git+https:///repo", "names no host"),
        ("git+ssh://-oProxyCommand=x/repo", "names no host"),
        ("git+ssh://git@-oProxyCommand=x/repo", "names no host"),
        ("git+ssh://-l@host.example/repo", "keep a secret"),
        ("git+git@host.example:repo", "no git address"),
        ("git+file://repo", "no git address"),
        ("git+file://server/repo", "three slashes"),
        ("git+https://host.example:port/repo", "no address"),
        ("git+https://host.example/repo?token=s3cret", "keep a secret"),
        ("git+https://me:s3cret@host.example/repo", "keep a secret"),
        ("git+https://s3cret@host.example/repo", "keep a secret"),
        ("git+ssh://me:s3cret@host.example/repo", "keep a secret"),
        ("git+file:///repo@", "no branch"),
        ("git+file:///repo@--upload-pack=touch", "no branch"),
        ("git+file:///repo@-u", "no branch"),
        ("git+file:///repo@+main", "no branch"),
        ("git+file:///repo@main:refs/heads/x", "no branch"),
        ("git+file:///repo@main~1", "no branch"),
        ("git+file:///repo@a..b", "no branch"),
        ("git+file:///repo@x*", "no branch"),
        ("git+file:///re\npo", "cannot be printed"),
        ("git+file:///repo#egg=x", "subdirectory=docs"),
        ("git+file:///repo#subdirectory=../x", "subdirectory=docs"),
        ("git+file:///repo#subdirectory=a%0Ab", "subdirectory=docs"),
        ("git+file:///repo#subdirectory=", "subdirectory=docs"),
    ],
)
def test_bad_address_is_refused_without_its_secrets(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        parse_address(text)
    assert "s3cret" not in str(refused.value)


def test_secrets_are_taken_out_of_what_git_says() -> None:
    said = "fatal: unable to access 'https://me:s3cret@host.example/repo/': no route"
    assert without_secrets(said) == "fatal: unable to access 'https://***@host.example/repo/': no route"
