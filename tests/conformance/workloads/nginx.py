"""Nginx under load: every body compared, workers replaced while clients go on."""

import gzip
import hashlib
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SECONDS = float(sys.argv[1])
ROOT = Path("/tmp/www")
CONFIGURATION = """
worker_processes 2;
daemon off;
pid /tmp/nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  gzip on;
  gzip_min_length 1;
  gzip_types *;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  keepalive_requests 1000;
  server {
    listen 127.0.0.1:8090;
    root /tmp/www;
    location /again/ { proxy_pass http://127.0.0.1:8090/; }
  }
}
"""

chance = random.Random(1)
bodies = {}
ROOT.mkdir(exist_ok=True)
for index in range(40):
    size = chance.choice((0, 1, 100, 4096, 65536, 300_000, 1_000_000))
    bodies[f"f{index}"] = chance.randbytes(size // 2) + b"a" * (size - size // 2)
    (ROOT / f"f{index}").write_bytes(bodies[f"f{index}"])
    (ROOT / f"f{index}").chmod(0o644)
ROOT.chmod(0o755)
Path("/tmp/nginx.conf").write_text(CONFIGURATION)
server = subprocess.Popen(["nginx", "-c", "/tmp/nginx.conf"])
problems = []
done = [0]


def fetch(number, end):
    mine = random.Random(number)
    connection = http.client.HTTPConnection("127.0.0.1", 8090, timeout=60)
    try:
        while time.monotonic() < end:
            name = mine.choice(list(bodies))
            body = bodies[name]
            headers = {}
            how = mine.randrange(4)
            if how == 1:
                headers["Accept-Encoding"] = "gzip"
            if how == 2 and len(body) > 10:
                headers["Range"] = f"bytes=5-{len(body) - 3}"
            path = f"/again/{name}" if how == 3 else f"/{name}"
            for retry in range(4):
                try:
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    break
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    # A worker that is replaced closes idle connections.
                    assert retry < 3
                    connection.close()
            found = answer.read()
            if answer.getheader("Content-Encoding") == "gzip":
                found = gzip.decompress(found)
            expected = body[5 : len(body) - 2] if "Range" in headers else body
            assert answer.status in (200, 206), answer.status
            assert hashlib.sha256(found).digest() == hashlib.sha256(expected).digest(), name
            done[0] += 1
    except Exception as error:
        problems.append(repr(error))


deadline = time.monotonic() + 60
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8090, timeout=5)
        connection.request("GET", "/f0")
        connection.getresponse().read()
        break
    except OSError:
        assert time.monotonic() < deadline
        time.sleep(0.1)
end = time.monotonic() + SECONDS
threads = [threading.Thread(target=fetch, args=(n, end)) for n in range(8)]
for thread in threads:
    thread.start()
reload_at = time.monotonic() + SECONDS / 3
time.sleep(max(0, reload_at - time.monotonic()))
os.kill(server.pid, signal.SIGHUP)
for thread in threads:
    thread.join()
assert not problems, problems
assert done[0] > 10, done
for keep in ([], ["-k"]):
    ab = ["ab", "-q", *keep, "-n", "2000", "-c", "20", "http://127.0.0.1:8090/f2"]
    report = subprocess.run(ab, check=True, capture_output=True, text=True).stdout
    assert "Failed requests:        0" in report, report
    assert "Complete requests:      2000" in report, report
server.send_signal(signal.SIGQUIT)
assert server.wait(60) == 0
print(done[0], "bodies compared")
