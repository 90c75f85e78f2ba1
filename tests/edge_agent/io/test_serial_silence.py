"""A frame begins after 3.5 characters of silence, also where something comes while that is waited for."""

from __future__ import annotations

import os
import threading
import time
import tty

from edge_agent.io.serial_link import SerialLink
from edge_agent.model.points import Serial


def test_a_late_reply_is_heard_out_before_the_next_request() -> None:
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    link = SerialLink(Serial(os.ttyname(far), 300))  # 3.5 characters are 117 ms
    written_s = []

    def late() -> None:
        for _ in range(3):
            time.sleep(0.06)
            written_s.append(time.monotonic())
            os.write(near, b"x")

    try:
        link.open()
        babbler = threading.Thread(target=late)
        babbler.start()
        link.send(b"request")
        asked_s = time.monotonic()
        babbler.join()
        assert os.read(near, 100) == b"request"
        assert asked_s - written_s[-1] >= 3.5 * 10 / 300
        assert link.flush() == b""
    finally:
        link.close()
        os.close(near)
        os.close(far)
