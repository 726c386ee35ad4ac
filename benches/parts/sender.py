"""The client of the upload bench: python3 -m parts.sender PORT FILE COUNT; prints one line of JSON."""

import json
import sys
import threading
import time

from .api import Api


def main():
    port, file, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    failed = []

    def one():
        try:
            Api(port).upload(file)
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
