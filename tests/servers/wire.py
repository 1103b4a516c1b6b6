"""A wire to a server that a test can cut, in the middle of whatever is on it."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit


class Wire:
    """Listens at `url` and passes everything on to *target* while it is not cut."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._open: set[socket.socket] = set()
        self._listening = self._listen(0)
        self._port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        """Refuse what comes, and break off what is on the way."""
        self._listening.close()
        for one in list(self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def mend(self) -> None:
        self._listening = self._listen(self._port)

    def _listen(self, port: int) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", port), backlog=64)
        # closing alone does not wake a thread that waits in accept()
        listening.settimeout(0.1)
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        return listening

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            near.settimeout(None)
            far = socket.create_connection(self._target)
            self._open |= {near, far}
            for here, there in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(here, there), daemon=True).start()

    def _pass(self, here: socket.socket, there: socket.socket) -> None:
        try:
            while data := here.recv(65_536):
                there.sendall(data)
        except OSError:
            pass
        for one in (here, there):
            self._open.discard(one)
            one.close()
