"""The little of tus and of matinee's interface that the benches need, on one kept connection."""

import http.client
import json
import os
import socket
import time
from datetime import datetime
from urllib.parse import urlsplit

TUS = {"Tus-Resumable": "1.0.0"}


class Api:
    """One connection to a server."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return answer.headers, text

    def json(self, path):
        return json.loads(self.ask("GET", path)[1])

    def create(self, size):
        """Creates a tus upload: (path of the upload, id of the video or None)."""
        headers, _ = self.ask("POST", "/files/", None, {**TUS, "Upload-Length": str(size), "Content-Length": "0"})
        return urlsplit(headers["Location"]).path, headers.get("Matinee-Video")

    def send(self, path, file, offset=0, size=None):
        """Sends a file, or a piece of it, in one PATCH with sendfile; returns the time when the 204 was read."""
        size = os.path.getsize(file) if size is None else size
        if self.connection.sock is None:
            self.connection.connect()
        sock = self.connection.sock
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: {self.connection.host}:{self.connection.port}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {size}\r\n\r\n"
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(head.encode())
        with open(file, "rb") as opened:
            sock.sendfile(opened, offset, size)
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = sock.recv(65536)
            if not more:
                raise RuntimeError("the server closed the connection before it answered")
            answer += more
        at = time.time()
        if not answer.startswith(b"HTTP/1.1 204"):
            raise RuntimeError(f"PATCH: {answer[:500]!r}")
        return at

    def upload(self, file):
        """Uploads a file: (id of the video, time of the 204)."""
        path, video = self.create(os.path.getsize(file))
        return video, self.send(path, file)

    def wait(self, video, until, pause_s, limit_s):
        """Asks for the video until `until(video)`; a failed one is an error."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            state = self.json(f"/v1/videos/{video}")
            if until(state):
                return state, time.time()
            if state["state"] == "failed":
                raise RuntimeError(f"the video failed: {state['reason']}")
            time.sleep(pause_s)
        raise RuntimeError(f"nothing within {limit_s} s: {state}")

    def tracks(self, hls):
        """The addresses below a multivariant playlist: [(media playlist, init, [segments])], in its order."""
        found = []
        base = urlsplit(hls).path
        for line in self.ask("GET", base)[1].decode().splitlines():
            quoted = line.partition('URI="')[2].partition('"')[0] if line.startswith("#EXT-X-MEDIA") else None
            name = quoted or (line if line and not line.startswith("#") else None)
            if name:
                found.append(self._track(_join(base, name)))
        return found

    def _track(self, playlist):
        init, segments = None, []
        for line in self.ask("GET", playlist)[1].decode().splitlines():
            if line.startswith("#EXT-X-MAP"):
                init = _join(playlist, line.partition('URI="')[2].partition('"')[0])
            elif line and not line.startswith("#"):
                segments.append(_join(playlist, line))
        return playlist, init, segments


def _join(base, name):
    return urlsplit(name).path if "//" in name else name if name.startswith("/") else base.rpartition("/")[0] + "/" + name


def moment(text):
    """Seconds since 1970 of an RFC 3339 text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
