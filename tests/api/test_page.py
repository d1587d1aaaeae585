"""The page's files: served under a strict policy, with nothing inline, and part of the installed package."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.api.conftest import ROOT, MakeClient

PAGE = ROOT / "api" / "page"
FILES = sorted(PAGE.iterdir())


def test_page_has_a_strict_policy(make_client: MakeClient) -> None:
    reply = make_client().get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert (policy["require-trusted-types-for"], policy["frame-ancestors"]) == ("'script'", "'none'")
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_part_is_served_with_its_type(make_client: MakeClient, file: Path) -> None:
    reply = make_client().get(f"/page/{file.name}")
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert (reply.status_code, reply.content) == (200, file.read_bytes())
    assert reply.headers["content-type"].startswith(types[file.suffix])


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e%2Fapp.py", "__init__.py", "main.js%00", "ünï.js"])
def test_nothing_else_is_served(make_client: MakeClient, name: str) -> None:
    assert make_client().get(f"/page/{name}").status_code == 404


def test_page_needs_no_key_and_is_no_part_of_the_described_api(make_client: MakeClient) -> None:
    client = make_client()
    assert client.get("/", headers={"Host": "elsewhere"}).status_code == 200
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path == "/" or path.startswith("/page")]


def test_html_has_nothing_inline_and_links_no_other_host() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", html) == []


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".js"], ids=lambda file: file.name)
def test_scripts_make_no_markup_of_text(file: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|setHTML|DOMParser"
    assert re.findall(forbidden, file.read_text(encoding="utf-8")) == []


def test_every_label_names_a_field_and_every_id_is_used_once() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', html)
    named = re.findall(r'\s(?:for|aria-labelledby|aria-describedby)="([^"]+)"', html)
    assert (len(ids), set(named) - set(ids)) == (len(set(ids)), set())


def test_page_is_part_of_the_installed_package() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "page/*" in data["api"]
