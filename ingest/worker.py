"""The child process in which untrusted files are parsed: `python -m ingest.worker BYTES`, jobs on stdin, results on stdout.

Its first line says that it is ready. A job is a line of JSON (media type, length, seconds) and that many bytes; a result is a
line of JSON.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from core.errors import ParseFailed
from ingest.parse import parse


def main() -> None:
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not be taken for a result
    _limit(int(sys.argv[1]))
    results.write(b"ready\n")
    results.flush()
    _serve(sys.stdin.buffer, results)


def _limit(limit: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for forbidden in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(forbidden, (0, 0))


def _serve(jobs: BinaryIO, results: BinaryIO) -> None:
    for line in jobs:
        job = json.loads(line)
        content = jobs.read(job["length"])
        # Ends this process even inside C code, also when the parent is gone and nobody else would.
        signal.setitimer(signal.ITIMER_REAL, job["seconds"] + 1)
        result = json.dumps(_outcome(content, job["media_type"]))
        signal.setitimer(signal.ITIMER_REAL, 0)
        results.write(result.encode() + b"\n")
        results.flush()


def _outcome(content: bytes, media_type: str) -> dict[str, Any]:
    try:
        parsed = parse(content, media_type)
    except ParseFailed as error:
        return {"failed": str(error)}
    except MemoryError:
        return {"failed": "needs more memory than a file may take: split it"}
    except Exception as error:  # a parser's own bug must cost one file, not the run
        return {"failed": f"cannot be read ({type(error).__name__}: {error})"[:300]}
    blocks = [(block.kind, block.start, block.end, block.level) for block in parsed.blocks]
    return {"title": parsed.title, "text": parsed.text, "blocks": blocks}


if __name__ == "__main__":
    main()
