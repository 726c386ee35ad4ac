"""The client of the upload bench: python3 -m parts.sender PORT FILE COUNT [CHUNK_MIB]; prints one line of JSON."""

import json
import os
import sys
import threading
import time

from .api import Api


def main():
    port, file, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    chunk = int(sys.argv[4]) << 20 if len(sys.argv) > 4 else os.path.getsize(file)
    failed = []

    def one():
        try:
            api = Api(port)
            size = os.path.getsize(file)
            path, _ = api.create(size)
            for offset in range(0, size, chunk):
                api.send(path, file, offset, min(chunk, size - offset))
        except Exception as error:  # a thread's error must reach the exit code
            failed.append(repr(error))

    begin = time.monotonic()
    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"uploads failed: {failed}")
    print(json.dumps({"seconds": time.monotonic() - begin}))


main()
