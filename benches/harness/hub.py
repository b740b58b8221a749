"""A stand-in for the Hugging Face Hub, for a peer that reads models from nowhere else.

It tells the names, sizes and digests of the files. The files themselves are laid where the peer keeps its downloads, so that no download is
measured.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10 << 20


class Hub:
    """Answers for repositories `bench/NAME`, where NAME is that of a folder given."""

    def __init__(self, folders: list[Path], digests: dict[Path, str]):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler({folder.name: folder for folder in folders}, digests))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def tree_of(folder: Path, digests: dict[Path, str]) -> list[dict]:
    """The folder as the Hub lists it. Only large files are in LFS there, and only those have a digest."""
    entries = []
    for path in sorted(folder.iterdir()):
        entry = {"type": "file", "oid": "0" * 40, "path": path.name, "size": path.stat().st_size}
        if entry["size"] >= LARGE:
            entry["lfs"] = {"oid": digests[path], "size": entry["size"], "pointerSize": 135}
        entries.append(entry)
    return entries


def _handler(folders: dict[str, Path], digests: dict[Path, str]):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            words = self.path.partition("?")[0].split("/")
            # /api/models/bench/NAME/revision/REV or /api/models/bench/NAME/tree/REV
            folder = folders.get(words[4]) if len(words) > 5 else None
            if folder is None:
                self.send_error(404)
                return
            answer = tree_of(folder, digests) if words[5] == "tree" else {"id": f"bench/{folder.name}", "sha": COMMIT, "siblings": []}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """A benchmark's output is its tables."""

    return Handler
