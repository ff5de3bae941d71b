"""Redis under load: clients that know what they wrote, saves by fork, a restart, all compared."""

import random
import socket
import subprocess
import sys
import threading
import time

SECONDS = float(sys.argv[1])
PORT = 6390
SERVER = (
    f"redis-server --port {PORT} --dir /tmp --appendonly yes --save 1_1 --loglevel warning "
    "--enable-debug-command yes --io-threads 2"
).split()


class Client:
    """One connection; speaks RESP."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=60)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            raw = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        self.socket.sendall(b"".join(parts))

    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        assert kind == b"+", line
        return rest

    def __call__(self, *words):
        self.send(*words)
        return self.answer()


def start():
    words = [word.replace("_", " ") for word in SERVER]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            if Client()("PING") == b"PONG":
                return server
        except (OSError, RuntimeError):  # not there yet, or loading
            assert time.monotonic() < deadline
            time.sleep(0.1)


problems = []
counted = [0] * 6
values = [{} for _ in range(6)]


def use(number, end):
    try:
        client = Client()
        chance = random.Random(number)
        mine = values[number]
        while time.monotonic() < end:
            key = f"{number}:{chance.randrange(2000)}"
            value = chance.randbytes(chance.choice((1, 100, 5000)))
            client.send("SET", key, value)
            client.send("INCR", "all")
            client.send("GET", key)
            client.send("LPUSH", f"list{number}", counted[number])
            client.send("LLEN", f"list{number}")
            mine[key] = value
            counted[number] += 1
            assert client.answer() == b"OK"
            client.answer()
            assert client.answer() == value
            client.answer()
            assert client.answer() == counted[number]
    except Exception as error:
        problems.append(repr(error))


def compare():
    client = Client()
    assert int(client("GET", "all") or 0) == sum(counted), "INCR"
    for number, mine in enumerate(values):
        for key, value in mine.items():
            assert client("GET", key) == value, key
        found = [int(word) for word in client("LRANGE", f"list{number}", 0, -1)]
        assert found == list(reversed(range(counted[number]))), f"list{number}"


server = start()
end = time.monotonic() + SECONDS
threads = [threading.Thread(target=use, args=(n, end)) for n in range(6)]
for thread in threads:
    thread.start()
saves = Client()
while time.monotonic() < end:
    time.sleep(0.5)
    for verb in ("BGSAVE", "BGREWRITEAOF"):
        try:
            saves(verb)
        except RuntimeError as busy:
            assert "progress" in str(busy) or "active" in str(busy), busy
for thread in threads:
    thread.join()
assert not problems, problems
compare()
saves("DEBUG", "RELOAD")
compare()
server.terminate()
assert server.wait(60) == 0
server = start()
compare()
bench = f"redis-benchmark -p {PORT} -q -n 3000 -c 20 -t set,get,incr,lpush,mset -P 4".split()
subprocess.run(bench, check=True, stdout=subprocess.DEVNULL)
server.kill()
server.wait()
server = start()  # what was appended survives a kill
compare()
server.terminate()
server.wait()
print(sum(counted), "rounds")
