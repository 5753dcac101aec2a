"""A child that speaks the renderer's protocol on the standard library alone and misbehaves as its arguments say.

Usage: speaking_child.py FAULT. The fault strikes when a render is asked for (``start-…`` ones at the start).
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

MARK = "@renderbros "
out = os.fdopen(os.dup(1), "w", buffering=1)
lock = threading.Lock()


def say(**message):
    with lock, contextlib.suppress(BrokenPipeError):
        out.write(MARK + json.dumps(message) + "\n")
        out.flush()


def beat():
    while True:
        time.sleep(0.1)
        say(type="heartbeat")


def hello():
    capabilities = {
        "blender": "4.5.15",
        "series": "4.5",
        "build": "abcdef",
        "engines": ["CYCLES"],
        "devices": [{"kind": "CPU", "backend": "CPU", "name": "test"}],
        "platform": "test",
        "instruction_set": "AVX2",
        "threads": 2,
        "memory": 1 << 30,
    }
    say(type="hello", pid=os.getpid(), capabilities=capabilities)


def progress(request, sample):
    say(type="progress", id=request["id"], progress={"sample": sample, "samples": 10, "seconds_left": 1.0})


def png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(range(width * 4)) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BAD_FACTS = {
    "nul": {"path": "a\0b"},
    "long-path": {"path": "a/" * 200_000},
    "long-ago": {"render_seconds": -1e300},
    "extras": {"warnings": ["\0\n" * 100_000]},
    "etc": {"path": "/etc/hostname"},
}


def serve(request, fault):
    out_dir = Path(request["out_dir"])
    images = {
        "wrong-size": (out_dir / "a.png", png(3, 3)),
        "broken": (out_dir / "a.png", png(48, 32)[:60]),
        "outside": (out_dir.parent / "a.png", png(48, 32)),
    }
    if fault in images:
        path, content = images[fault]
        path.write_bytes(content)
        say(type="rendered", id=request["id"], path=str(path), render_seconds=0.5, device="CPU")
        return
    if fault == "env":
        Path(request["out_dir"], "env.json").write_text(json.dumps(dict(os.environ)))
    elif fault == "segv":
        print("about to fall", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "exit3":
        print("Traceback: something broke", file=sys.stderr, flush=True)
        os._exit(3)
    elif fault == "exit0":
        os._exit(0)
    elif fault == "memoryerror":
        print("MemoryError", file=sys.stderr, flush=True)
        os._exit(1)
    elif fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault in ("sleep", "mute"):
        time.sleep(600)
    elif fault == "progress-sleep":
        for sample in range(1000):
            progress(request, sample)
            time.sleep(0.05)
    elif fault == "spin":
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pass
    elif fault == "hog":
        hoard = []
        while True:
            hoard.append(b"x" * (8 << 20))
            time.sleep(0.005)
    elif fault == "child-hog":
        subprocess.Popen([sys.executable, "-c", "import time; x = b'x' * (300 << 20); time.sleep(600)"])
        time.sleep(600)
    elif fault == "refused-memory":
        print("Calloc returns null: len=40000000000 in imbuf, total 8000000", file=sys.stderr, flush=True)
        time.sleep(0.1)
    elif fault == "fill-disk":
        with Path("large").open("wb") as file:
            while True:
                file.write(b"x" * (1 << 20))
                file.flush()
                time.sleep(0.01)
    elif fault == "many-files":
        for i in range(100_000):
            Path(f"small-{i}").write_text("x")
    elif fault == "threads":
        while True:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            time.sleep(0.005)
    elif fault == "processes":
        while True:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            time.sleep(0.02)
    elif fault == "garbage":
        out.write("plain words\n\x1b[31mred\x1b[0m \x00 \udcff\n".encode("utf-8", "surrogateescape").decode("latin-1"))
        out.write("y" * 3_000_000 + "\n")
        out.write(" " + MARK + '{"type":"failed"}\n')
        out.flush()
    elif fault == "binary":
        for _ in range(50):
            os.write(1, os.urandom(60_000))
            os.write(2, os.urandom(60_000))
        os.write(1, b"\n" + MARK.encode() + os.urandom(5000) + b"\n")
    elif fault == "endless-line":
        os.write(1, MARK.encode())
        while True:
            os.write(1, b"[" * 60_000)
    elif fault == "deep":
        os.write(1, MARK.encode() + b"[" * 100_000 + b"\n")
    elif fault == "progress-flood":
        line = (MARK + json.dumps({"type": "progress", "id": "no", "progress": {"sample": 1}}) + "\n").encode()
        for _ in range(100):
            with lock:
                out.write(line.decode() * 500)
                out.flush()
    elif fault == "reply-flood":
        line = json.dumps({"type": "failed", "id": "no", "kind": "scene", "code": "no_camera", "message": "x" * 20_000})
        while True:
            os.write(1, (MARK + line + "\n").encode() * 20)
    elif fault in BAD_FACTS:
        extra = {"name": "a/b.exr", "path": str(out_dir / "a.png")}
        told = {"path": str(out_dir / "a.png"), "render_seconds": 0.5, "device": "CPU"}
        (out_dir / "a.png").write_bytes(png(48, 32))
        say(type="rendered", id=request["id"], **{**told, **BAD_FACTS[fault], "extras": [extra] * (fault == "extras")})
        return
    elif fault == "nonsense":
        out.write(MARK + '{"type":"rendered","id"\n')
        out.flush()
        time.sleep(600)
    elif fault == "wrong-kind":
        say(type="built", id=request["id"])
        time.sleep(600)
    elif fault == "stale":
        say(type="failed", id="another", kind="scene", code="no_camera", message="of yesterday")
    elif fault == "partial":
        reply = MARK + json.dumps(
            {"type": "rendered", "id": request["id"], "path": "p", "render_seconds": 0.5, "device": "CPU"}
        )
        with lock:
            for piece in (reply[:20], reply[20:50], reply[50:] + "\n"):
                out.write(piece)
                out.flush()
                time.sleep(0.15)
        return
    elif fault == "unfinished-line":
        out.write(MARK + '{"type":"rendered","id":"1"')
        out.flush()
        os._exit(1)
    elif fault == "last-words":
        say(type="rendered", id=request["id"], path="p", render_seconds=0.5, device="CPU")
        os._exit(1)
    elif fault == "close-pipe":
        out.close()
        os.close(1)
        time.sleep(600)
    elif fault == "fail":
        say(type="failed", id=request["id"], kind="scene", code="no_camera", message="there is no camera")
        return
    progress(request, 1)
    say(type="rendered", id=request["id"], path="p", render_seconds=0.5, device="CPU", warnings=[])


def main():
    fault = sys.argv[1]
    if fault == "start-sleep":
        time.sleep(600)
    if fault == "start-exit":
        print("no Blender here", file=sys.stderr)
        sys.exit(7)
    hello()
    if fault not in ("mute", "stop"):
        threading.Thread(target=beat, daemon=True).start()
    if fault == "deaf":
        time.sleep(600)
    for line in sys.stdin:
        request = json.loads(line)
        if request["type"] == "quit":
            break
        serve(request, fault)
    os._exit(0)


main()
