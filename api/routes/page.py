"""The page at `/`: plain files, and a policy under which no text of a document could run."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from core.errors import NotFound

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@router.head("/")
@router.get("/")
def get_page() -> Response:
    return _served(_FOLDER / "index.html")


@router.get("/page/{name}")
def get_part(name: str) -> Response:
    for path in _FOLDER.iterdir():
        if path.name == name and path.suffix in _TYPES:
            return _served(path)
    raise NotFound(f"the page has no part {name!r}")


def _served(path: Path) -> Response:
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers=_HEADERS)
