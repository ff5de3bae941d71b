"""Keeps notes in a database: POST adds one, GET returns all."""

import signal
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATABASE = "/data/notes.db"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with sqlite3.connect(DATABASE) as database:
            notes = database.execute("SELECT text FROM note ORDER BY rowid").fetchall()
        self.answer("".join(f"{text}\n" for (text,) in notes).encode())

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with sqlite3.connect(DATABASE) as database:
            database.execute("INSERT INTO note VALUES (?)", (text,))
        self.answer(b"kept\n")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with sqlite3.connect(DATABASE) as database:
    database.execute("CREATE TABLE IF NOT EXISTS note (text)")
print("serving")
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
