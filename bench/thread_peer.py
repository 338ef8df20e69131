"""ProcessPoolExecutor, for bench/thread.ts: `python3 thread_peer.py PROCESSES`. It answers as thread_peers.mjs does."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor


def empty(n):
    return n


def spin(ms):
    end = time.perf_counter() + ms / 1000
    while time.perf_counter() < end:
        pass


def size(data):
    return len(data)


def main():
    data = bytes(2**20)
    with ProcessPoolExecutor(int(sys.argv[1])) as pool:

        def run_all(function, argument, count):
            for future in [pool.submit(function, argument) for _ in range(count)]:
                future.result()

        for line in sys.stdin:
            job, count = line.split()
            if job == "latency":
                for _ in range(int(count)):
                    pool.submit(empty, 1).result()
            else:
                function, argument = {"empty": (empty, 1), "spin": (spin, 1), "size": (size, data)}[job]
                run_all(function, argument, int(count))
            print("done", flush=True)


if __name__ == "__main__":
    main()
