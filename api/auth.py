"""API keys, and the one place where a Scope is made."""

import hmac
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from sqlalchemy import Engine, Row, select

from core.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from core.schema import api_keys, documents, sources
from core.types import Scope

Permission = Literal["ask", "admin"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
DEFAULT_TENANT = "default"

_KEY = re.compile(r"us_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    scope: Scope
    permissions: frozenset[Permission]

    def allowed(self, permission: Permission) -> Scope:
        """The caller's scope; raises Forbidden without the permission."""
        if permission not in self.permissions:
            raise Forbidden(
                f"this key lacks the scope {permission!r}: make one that has it with `understudy keys create --scope {permission}`"
            )
        return self.scope


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredKey:
    key_id: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: float
    revoked_at: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    key_id: str
    key: str
    """Shown once; the database holds its hash."""
    tenant: str
    scopes: tuple[str, ...]


def local_scope(tenant: str = DEFAULT_TENANT) -> Scope:
    """The scope of whoever runs the command line, who can read the database anyway."""
    return Scope(tenant=_checked_tenant(tenant))


def every_scope(engine: Engine) -> list[Scope]:
    """Of everyone who has a source or a document: an index that tenants share is built again for all of them."""
    with engine.connect() as connection:
        tenants = connection.execute(select(sources.c.tenant).union(select(documents.c.tenant))).scalars()
        return [Scope(tenant=tenant) for tenant in tenants]


def authenticate(engine: Engine, authorization: str | None, *, local: bool) -> Caller:
    """The caller behind an `Authorization` header; raises Unauthorized.

    `local` says that the request came over the loopback interface to a loopback name. Without any key in the database such a
    request may do everything and no other may do anything; once a key was made, even a revoked one, only keys open the door.
    """
    if not keys_exist(engine):
        return _keyless(local)
    match = _KEY.fullmatch(_bearer(authorization))
    if match is None:
        raise Unauthorized("this is not a key of this server: keys look like `us_<id>_<secret>`; `understudy keys create` makes one")
    row = _stored(engine, match[1])
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.key_hash, _hash(match[0])):
        raise Unauthorized("the API key is wrong or revoked: `understudy keys create` makes a new one")
    return Caller(scope=Scope(tenant=row.tenant), permissions=_permissions(row.scopes.split(",")))


def keys_exist(engine: Engine) -> bool:
    """Whether a key was ever made: revoking the last one closes the door, it does not open it."""
    with engine.connect() as connection:
        return connection.execute(select(api_keys.c.key_id).limit(1)).first() is not None


def create_key(engine: Engine, tenant: str, scopes: Collection[str]) -> NewKey:
    if not scopes or (unknown := sorted(set(scopes) - set(PERMISSIONS))):
        raise InvalidInput(f"unknown scope {unknown[0]!r}: use ask or admin" if scopes else "a key needs a scope: ask or admin")
    key_id = secrets.token_hex(6)
    key = f"us_{key_id}_{secrets.token_urlsafe(32)}"
    kept = tuple(scope for scope in PERMISSIONS if scope in scopes)
    row = {"key_id": key_id, "tenant": _checked_tenant(tenant), "key_hash": _hash(key), "scopes": ",".join(kept), "created_at": time.time()}
    with engine.begin() as connection:
        connection.execute(api_keys.insert().values(row))
    return NewKey(key_id=key_id, key=key, tenant=tenant, scopes=kept)


def list_keys(engine: Engine) -> list[StoredKey]:
    """Every key, oldest first; the keys themselves are not stored."""
    with engine.connect() as connection:
        rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at)).all()
    return [_to_stored(row) for row in rows]


def revoke_key(engine: Engine, key_id: str) -> StoredKey:
    with engine.begin() as connection:
        connection.execute(
            api_keys.update().where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=time.time())
        )
    row = _stored(engine, key_id)
    if row is None:
        raise NotFound(f"no key {key_id!r}: `understudy keys list` shows those that exist")
    return _to_stored(row)


def _keyless(local: bool) -> Caller:
    if not local:
        raise Unauthorized("without API keys only requests from this machine are answered: make a key with `understudy keys create`")
    return Caller(scope=local_scope(), permissions=frozenset(PERMISSIONS))


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized()
    return key.strip()


def _stored(engine: Engine, key_id: str) -> Row[tuple[object, ...]] | None:
    with engine.connect() as connection:
        return connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()


def _to_stored(row: Row[tuple[object, ...]]) -> StoredKey:
    return StoredKey(
        key_id=row.key_id, tenant=row.tenant, scopes=tuple(row.scopes.split(",")), created_at=row.created_at, revoked_at=row.revoked_at
    )


def _permissions(scopes: Collection[str]) -> frozenset[Permission]:
    return frozenset(permission for permission in PERMISSIONS if permission in scopes)


def _checked_tenant(tenant: str) -> str:
    if _TENANT.fullmatch(tenant) is None:
        raise InvalidInput(f"{tenant!r} cannot name a tenant: use up to 64 letters, digits, dots, dashes and underscores")
    return tenant


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()
