"""A worker for tests of the converter pool: does what the operator's fingerprint says."""

import os
import signal
import sys
import time

from mmt.torch_side.messages import read_message, write_message

read_fd, write_fd = int(sys.argv[1]), int(sys.argv[2])
while (message := read_message(read_fd)) is not None:
    header, payload = message
    order = header.get("fingerprint") or os.path.basename(header["path"])
    if order == "exit":
        print("Not supported operator: Frobnicate", flush=True)
        os._exit(3)
    if order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "hang":
        time.sleep(60)
    first, *missing = header.get("contexts", ["plain"])
    models = [{"context": first, "file": str(os.getpid()), "size_bytes": len(payload), "sha256": payload.decode()}]
    write_message(write_fd, {"models": models, "missing": missing, "exporter": "fake"})
