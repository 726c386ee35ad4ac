"""(g) What it costs to tell others: webhooks, a broker, and how long an event takes from its commit to who listens."""

import asyncio
import http.client
import json
import os
import shutil
import socket
import threading
import time

from . import measure, world

# Events of one round.
EVENTS = 2_000
# Single events whose way is timed.
SINGLE = 40
GOAL_LAG_MS = 50


class Receiver:
    """Takes messages and says 204; it counts them and knows when the last one came."""

    def __init__(self):
        self.port, self.seen, self.last = world.free_port(), 0, 0.0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.serve, args=(ready,), daemon=True).start()
        ready.wait(10)

    def serve(self, ready):
        async def begin():
            await asyncio.start_server(self.take, "127.0.0.1", self.port, backlog=1024)
            ready.set()

        self.loop.run_until_complete(begin())
        self.loop.run_forever()

    async def take(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.seen, self.last = self.seen + 1, time.perf_counter()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    def wait(self, count):
        end = time.monotonic() + 300
        while self.seen < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{self.seen} of {count} messages came")
            time.sleep(0.005)
        return self.last


class Redis:
    """A broker of its own, asked by the few words that are needed."""

    def __init__(self, here):
        self.folder, self.port = here.folder("redis"), world.free_port()
        self.command = [shutil.which("redis-server") or "redis-server", "--bind", "127.0.0.1", "--port", str(self.port)]
        self.command += ["--appendonly", "yes", "--save", "", "--dir", str(self.folder)]

    def ask(self, link, *words):
        text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        link.sendall(text.encode())
        return link.recv(65536).decode(errors="replace")

    def wait(self, count):
        end = time.monotonic() + 300
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            while (length := int(self.ask(link, "XLEN", "matinee.events")[1:].strip())) < count:
                if time.monotonic() > end:
                    raise RuntimeError(f"{length} of {count} events came")
                time.sleep(0.005)
        return time.perf_counter()


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Asking:
    """A server, asked over one connection."""

    def __init__(self, server):
        self.pid, self.link = server.pid, http.client.HTTPConnection("127.0.0.1", server.port)
        text = (server.folder / "log.txt").read_text()
        secret = text.split("/claim#")[1].split()[0]
        answer = self.send("POST", "/v1/session", {"token": secret})
        self.cookie = answer.getheader("Set-Cookie").split(";")[0]

    def send(self, method, path, body):
        headers = {"Content-Type": "application/json", "Cookie": getattr(self, "cookie", "")}
        self.link.request(method, path, json.dumps(body), headers)
        answer = self.link.getresponse()
        self.text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {self.text}")
        return answer

    def happen(self, count):
        for _ in range(count):
            self.send("POST", "/v1/uploads", {"size_bytes": 5})


def config(port, redis):
    broker = f'[[broker]]\nname = "queue"\nkind = "redis"\nurl = "redis://127.0.0.1:{redis.port}"\n'
    return f'[ingest]\nallow_hosts = ["127.0.0.1:{port}"]\n{broker}'


def once(here):
    receiver, redis = Receiver(), Redis(here)
    with here.matinee(config(receiver.port, redis)) as server:
        asking = Asking(server)
        # The broker is away, so that what waits for it can be timed when it comes.
        asking.happen(EVENTS)
        with here.start(redis.command, redis.port, redis.folder):
            before = cpu_s(server.pid)
            with socket.create_connection(("127.0.0.1", redis.port)) as link:
                while int(redis.ask(link, "XLEN", "matinee.events")[1:].strip()) == 0:
                    time.sleep(0.002)
            begun = time.perf_counter()
            took = redis.wait(EVENTS) - begun
            told = {"broker_s": max(took, 0.001), "broker_cpu_s": cpu_s(server.pid) - before}
            lags = []
            for number in range(SINGLE):
                asking.happen(1)
                done = time.perf_counter()
                lags.append((redis.wait(EVENTS + number + 1) - done) * 1_000)
            told["lag_ms"] = sorted(lags)[len(lags) // 2]
        body = {"url": f"http://127.0.0.1:{receiver.port}/", "topics": ["upload.created"]}
        asking.send("POST", "/v1/webhooks", body)
        hook = json.loads(asking.text)["id"]
        before, begun = cpu_s(server.pid), time.perf_counter()
        asking.send("POST", f"/v1/webhooks/{hook}/replay", {"since": "2020-01-01T00:00:00Z"})
        told["webhook_s"] = receiver.wait(EVENTS + SINGLE) - begun
        told["webhook_cpu_s"] = cpu_s(server.pid) - before
        return told


def run(here, rounds):
    seen = []
    for number in range(rounds):
        seen.append(once(here))
        print(f"  {number + 1}: {seen[-1]}", flush=True)
    of = lambda make: measure.spread([make(one) for one in seen])  # noqa: E731
    return {
        "events": EVENTS,
        "broker": of(lambda one: EVENTS / one["broker_s"]),
        "broker_cpu": of(lambda one: one["broker_cpu_s"] * 1_000 / EVENTS),
        "webhook": of(lambda one: (EVENTS + SINGLE) / one["webhook_s"]),
        "webhook_cpu": of(lambda one: one["webhook_cpu_s"] * 1_000 / (EVENTS + SINGLE)),
        "lag": of(lambda one: one["lag_ms"]),
    }
