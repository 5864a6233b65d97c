"""A receiver of webhooks that fails now and then: `python webhook_receiver.py ...`.

Arguments: port, folder, secret. Each delivery is verified by the library of Standard
Webhooks and written to `<folder>/log` with the answer it got: 500 for deliveries whose
number is in `<folder>/faults`, 204 otherwise. Events are written before the answer is
sent, so that a kill in between makes for a repetition, never for a loss.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook


def serve(port: int, folder: Path, secret: str) -> None:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            log = folder / "log"
            count = len(log.read_text().splitlines()) if log.exists() else 0
            event = Webhook(secret).verify(body, dict(self.headers))
            faults = json.loads((folder / "faults").read_text())
            answer = faults.get(str(count), 204)
            with log.open("a") as file:
                file.write(json.dumps({"answer": answer, "event": event}) + "\n")
            if answer == "die":
                os._exit(1)
            self.send_response(answer)
            if answer in {301, 307}:
                self.send_header("Location", f"http://127.0.0.1:{port}/elsewhere")
            if answer == 429:
                self.send_header("Retry-After", "60")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
