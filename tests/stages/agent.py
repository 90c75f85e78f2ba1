"""Pure. Breaks of the agent's part of the line: wire, protocol, values, plan, schedule, delivery, MQTT."""

from __future__ import annotations

from tests.stages.plan import Break

_FRAMES = "edge_agent/protocols/modbus_frames.py"
_MODBUS = "edge_agent/protocols/modbus.py"
_SCALING = "edge_agent/model/scaling.py"
_FRAME_TESTS = "tests/edge_agent/protocols/test_modbus_frames.py"
_TRANSCRIPTS = "tests/edge_agent/protocols/test_modbus_transcripts.py::test_transcript_gives_what_it_shows"
_SCALING_TESTS = "tests/edge_agent/model/test_scaling.py"
_BATCHING_TESTS = "tests/edge_agent/delivery/test_batching_laws.py"
_COURIER_TESTS = "tests/edge_agent/delivery/test_courier_machine.py"
_RULE_TESTS = "tests/edge_agent/delivery/test_courier_rules.py"
_FILE_TESTS = "tests/edge_agent/io/test_outbox_file.py"
_LINK_TESTS = "tests/edge_agent/io/test_mqtt_amqtt.py::TestAmqtt"

WIRE = (
    Break(
        "wire-no-silence",
        "wire bytes",
        "frames on a serial line follow one another without the silence that ends them",
        "edge_agent/io/serial_link.py",
        "self._active_at_s + self._silence_s - time.monotonic()",
        "self._active_at_s - time.monotonic()",
        ("tests/edge_agent/io/test_links.py::TestSerialLink::test_frames_are_kept_apart_by_silence",),
    ),
    Break(
        "wire-crc-unchecked",
        "wire bytes",
        "a frame is taken whatever its CRC says",
        _FRAMES,
        "if frame[-2:] != crc16(frame[:-2]):",
        "if False:",
        (f"{_FRAME_TESTS}::test_a_damaged_byte_never_gives_another_value", _TRANSCRIPTS),
    ),
    Break(
        "wire-echo-taken",
        "wire bytes",
        "an adapter's echo of the request is read as the device's bytes",
        _FRAMES,
        "if self._came.endswith(self._request):",
        "if False:",
        (_TRANSCRIPTS,),
    ),
    Break(
        "wire-tcp-length",
        "wire bytes",
        "a TCP frame is cut one byte short",
        _FRAMES,
        "bytes(self._came[7 : 6 + length])",
        "bytes(self._came[7 : 5 + length])",
        (f"{_FRAME_TESTS}::test_tcp_vector_frames", f"{_FRAME_TESTS}::test_tcp_streams"),
    ),
)

SESSION = (
    Break(
        "session-unit-unchecked",
        "protocol session",
        "the reply of another device is taken",
        _FRAMES,
        "if byte == self._unit:",
        "if True:",
        (_TRANSCRIPTS,),
    ),
    Break(
        "session-function-unchecked",
        "protocol session",
        "a reply with another function or count is taken",
        _FRAMES,
        "if pdu[: len(self.head)] != self.head[: len(pdu)]:",
        "if False:",
        (_TRANSCRIPTS,),
    ),
    Break(
        "session-late-rtu",
        "protocol session",
        "a reply that is still owed is not waited for before the next question of its kind",
        _MODBUS,
        'if self._framing != "tcp" and self._owed.get(ask.unit):',
        "if False:",
        (_TRANSCRIPTS, "tests/edge_agent/protocols/test_modbus_sessions.py::test_a_bad_line_never_gives_a_wrong_value"),
    ),
    Break(
        "session-late-tcp",
        "protocol session",
        "a TCP reply to an earlier request is taken",
        _MODBUS,
        "if transaction != self._transaction:",
        "if False:",
        (_TRANSCRIPTS,),
    ),
    Break(
        "session-exception-ignored",
        "protocol session",
        "an exception is taken for an answer",
        _MODBUS,
        "        if pdu[0] == expected.exception:\n",
        "        if False:\n",
        (_TRANSCRIPTS,),
    ),
)

VALUES = (
    Break(
        "scaling-word-order",
        "raw value, scale",
        "CDAB is read as ABCD",
        _SCALING,
        "words.reverse()",
        "pass",
        (f"{_SCALING_TESTS}::test_vectors_of_types_and_orders",),
    ),
    Break(
        "scaling-scale",
        "raw value, scale",
        "the offset of a point is left out",
        _SCALING,
        "value = raw * _exact(point.scale) + _exact(point.offset)",
        "value = raw * _exact(point.scale)",
        (f"{_SCALING_TESTS}::test_values_are_exact",),
    ),
    Break(
        "scaling-sign",
        "raw value, scale",
        "a negative number is read as a large one",
        _SCALING,
        "raw -= 1 << bits",
        "raw -= 0",
        (f"{_SCALING_TESTS}::test_vectors_of_types_and_orders", f"{_SCALING_TESTS}::test_values_are_exact"),
    ),
    Break(
        "scaling-sentinel",
        "raw value, scale",
        'a device\'s "no value" is a value',
        _SCALING,
        "if raw in point.sentinels:",
        "if False:",
        (f"{_SCALING_TESTS}::test_what_is_no_value",),
    ),
    Break(
        "quality-range",
        "quality",
        "a value outside the instrument's range is good",
        _SCALING,
        "return value, Quality.UNCERTAIN_RANGE if outside else Quality.GOOD",
        "return value, Quality.GOOD",
        (f"{_SCALING_TESTS}::test_outside_the_instruments_range_is_uncertain",),
    ),
    Break(
        "quality-lost",
        "quality",
        "every reading of a batch goes out as good",
        "edge_agent/delivery/batching.py",
        "run_lengths([int(r.quality) for r in taken])",
        "run_lengths([0 for r in taken])",
        (f"{_BATCHING_TESTS}::test_every_reading_is_there_once_at_its_instant",),
    ),
    Break(
        "reading-of-neighbour",
        "reading",
        "each point gets the first word of its block",
        "edge_agent/model/reply.py",
        "start = point.address - block.address",
        "start = 0",
        ("tests/edge_agent/test_bus.py::test_readings_from_a_line_share_their_instant",),
    ),
)

BUS = (
    Break(
        "planner-hole",
        "read planner",
        "a request touches registers that must not be read",
        "edge_agent/model/request_rules.py",
        "hole < len(self.holes):",
        "hole < 0:",
        ("tests/edge_agent/model/test_plan.py::test_a_hole_is_never_touched",),
    ),
    Break(
        "planner-group-cut",
        "read planner",
        "registers that belong together are read in two requests",
        "edge_agent/model/blocks.py",
        'f"g {point.group}" if point.group else f"p {number}"',
        'f"p {number}"',
        ("tests/edge_agent/model/test_plan.py::test_a_group_stays_together_and_is_not_halved",),
    ),
    Break(
        "schedule-drift",
        "schedule",
        "a late turn moves all that follow",
        "edge_agent/model/schedule.py",
        "turn.due_ms = turn.origin_ms + (number + 1) * turn.period_ms",
        "turn.due_ms = now_ms + turn.period_ms",
        ("tests/edge_agent/model/test_schedule.py::test_turns_missed_are_skipped_and_the_grid_is_kept",),
    ),
    Break(
        "schedule-probes-free",
        "schedule",
        "what probing a dead device costs is not counted",
        "edge_agent/model/schedule.py",
        "self._probes[device].credit_ms -= spent_ms",
        "self._probes[device].credit_ms -= 0",
        ("tests/edge_agent/model/test_schedule.py::test_dead_devices_stay_within_the_budget_and_others_keep_their_period",),
    ),
    Break(
        "health-never-silent",
        "device health",
        "a device that does not answer is never reported",
        "edge_agent/model/health.py",
        "if self._failed_cycles < CYCLES_TO_SILENT:",
        "if True:",
        (
            "tests/edge_agent/model/test_health.py::test_silent_after_three_cycles_and_back",
            "tests/edge_agent/test_bus.py::test_a_device_falls_silent_and_returns_while_the_other_is_read",
        ),
    ),
)

BATCH = (
    Break(
        "batching-reading-lost",
        "batch",
        "the last reading of a batch is left out",
        "edge_agent/delivery/batching.py",
        "Body(columns(self._readings, base)",
        "Body(columns(self._readings[:-1], base)",
        (f"{_BATCHING_TESTS}::test_every_reading_is_there_once_at_its_instant",),
    ),
    Break(
        "batching-reading-doubled",
        "batch",
        "a closed batch's readings stay in the open one",
        "edge_agent/delivery/courier.py",
        "if batch.is_full:\n                self._close(batch)",
        "if batch.is_full:\n                self._close(batch)\n                batch.add_reading(self._now_ms, reading)",
        (f"{_RULE_TESTS}::test_a_batch_closes_when_it_is_full",),
    ),
    Break(
        "batching-event-lost",
        "batch",
        "events are left out of the batch",
        "edge_agent/delivery/batching.py",
        "Body(columns(self._readings, base), events,",
        "Body(columns(self._readings, base), [],",
        (f"{_COURIER_TESTS}::test_a_failed_write_is_reported_once_tried_each_window_and_told_when_over",),
    ),
    Break(
        "stamping-round-trip",
        "stamping",
        "the collector's answer counts as exact, however long it took",
        "edge_agent/delivery/clock.py",
        '"collector", half_ms + 1)',
        '"collector", 1)',
        ("tests/edge_agent/io/test_time_source.py::test_the_collectors_answer_is_bounded_by_the_round_trip",),
    ),
    Break(
        "stamping-after-restart",
        "stamping",
        "a batch on disk is stamped anew after a restart",
        "edge_agent/delivery/outbox.py",
        "stored.gaps, stored.t0, stored.clock_source,",
        "stored.gaps, None, stored.clock_source,",
        (f"{_COURIER_TESTS}::test_a_restart_sends_what_the_file_held_under_its_own_epoch_with_its_own_stamp",),
    ),
    Break(
        "stamping-on-resend",
        "stamping",
        "a message is stamped at each sending",
        "edge_agent/delivery/courier.py",
        "self.holding.window.sent(key, self._now_ms)",
        "held.t0, clock = None, self.holding._stamper\n        clock.stamp(held, clock.offset)\n"
        "        self.holding.window.sent(key, self._now_ms)",
        ("tests/edge_agent/delivery/test_courier_stage.py::test_a_stamp_stays_whatever_the_clock_learns",),
    ),
)

OUTBOX = (
    Break(
        "outbox-forgets-beyond-receipt",
        "outbox",
        "a receipt releases one message more than it covers",
        "edge_agent/delivery/receipts.py",
        "min(last, lane.top))",
        "min(last, lane.top) + 1)",
        (f"{_RULE_TESTS}::test_ranges_release_what_they_name_and_low_stays_at_the_hole",),
    ),
    Break(
        "outbox-failed-write-believed",
        "outbox",
        "a write that failed counts as durable",
        "edge_agent/delivery/durability.py",
        "self._outbox.set_on_disk(held, OnDisk.DOUBTFUL)",
        "self._outbox.set_on_disk(held, OnDisk.YES)",
        (f"{_RULE_TESTS}::test_a_write_that_failed_is_made_again_and_told_once",),
    ),
    Break(
        "outbox-row-forgotten-whole",
        "outbox",
        "the file forgets a whole row when one of its messages has its receipt",
        "edge_agent/io/outbox_generations.py",
        "if self.index.forget(key):",
        "if self.index.forget(key) or part:",
        (f"{_FILE_TESTS}::test_what_is_added_is_there_after_a_restart_and_what_is_forgotten_is_not",),
    ),
    Break(
        "outbox-checksum-unchecked",
        "outbox",
        "a row with another's content is served",
        "edge_agent/io/outbox_rows.py",
        "return bool(zlib.crc32(packed) == crc)",
        "return True",
        ("tests/edge_agent/io/test_outbox_file_stage.py::test_a_row_whose_content_is_anothers_is_not_served",),
    ),
    Break(
        "outbox-not-synced",
        "outbox",
        "a commit may be lost in a power cut",
        "edge_agent/io/outbox.py",
        '"synchronous=FULL"',
        '"synchronous=NORMAL"',
        ("tests/edge_agent/io/test_outbox_file_stage.py::test_a_commit_is_on_the_medium_before_it_is_believed",),
    ),
    Break(
        "outbox-refusal-hidden",
        "outbox",
        "a write that the medium refused is told as done",
        "edge_agent/io/outbox_writer.py",
        "return WriteFailed(order.token, str(failure))",
        "return Written(order.token)",
        ("tests/edge_agent/io/test_delivery_loop_stage.py::test_a_write_that_is_refused_is_told_as_refused",),
    ),
    Break(
        "outbox-forged-receipt",
        "outbox",
        "a receipt beyond what was ever sent is believed",
        "edge_agent/delivery/receipts.py",
        "if top is not None and claimed > top:",
        "if False:",
        (f"{_RULE_TESTS}::test_a_receipt_beyond_what_was_sent_is_refused_and_reported",),
    ),
    Break(
        "window-new-log-ignored",
        "send window",
        "a restored collector is not sent again what is still held",
        "edge_agent/delivery/courier.py",
        "if applied.is_new_log:",
        "if False:",
        (f"{_RULE_TESTS}::test_another_log_gets_everything_that_is_still_held_and_the_birth",),
    ),
    Break(
        "outbox-unbounded",
        "outbox",
        "the outbox grows beyond its bound",
        "edge_agent/delivery/holding.py",
        "if outbox.depth_bytes > most or outbox.memory_only_bytes > unsafe:",
        "if False:",
        (f"{_RULE_TESTS}::test_what_overflows_is_the_oldest_and_a_gap_record_tells_of_it",),
    ),
    Break(
        "outbox-drop-untold",
        "outbox",
        "what was dropped is told by no gap record",
        "edge_agent/delivery/holding.py",
        "self._replace_by_gaps(now_ms, held, [gap, *",
        "self._replace_by_gaps(now_ms, held, [] and [gap, *",
        (f"{_RULE_TESTS}::test_what_overflows_is_the_oldest_and_a_gap_record_tells_of_it",),
    ),
    Break(
        "window-unbounded",
        "send window",
        "more is under way than may be",
        "edge_agent/delivery/window.py",
        "if under_way < places and not self.is_dry(lane, shelved):",
        "if not self.is_dry(lane, shelved):",
        (f"{_COURIER_TESTS}::test_after_a_reconnect_it_goes_on_from_the_oldest",),
    ),
    Break(
        "window-never-again",
        "send window",
        "what has no receipt is not sent again",
        "edge_agent/delivery/window.py",
        "if flight.due_ms <= now_ms]",
        "if flight.due_ms < 0]",
        (f"{_COURIER_TESTS}::test_resends_double_and_any_word_of_the_collector_sets_them_back",),
    ),
    Break(
        "window-lost-at-reconnect",
        "send window",
        "what was under way when the link broke is taken for delivered",
        "edge_agent/delivery/window.py",
        "under_way = list(self.flying)",
        "under_way = list(self.flying)[:0]",
        (f"{_COURIER_TESTS}::test_after_a_reconnect_it_goes_on_from_the_oldest",),
    ),
)

MQTT = (
    Break(
        "mqtt-not-subscribed",
        "MQTT publisher",
        "a connect does not subscribe: no receipt is ever heard",
        "edge_agent/io/mqtt_session.py",
        "client.subscribe([(text, int(kind is Kind.CMD))",
        'client.subscribe([(text + "-", int(kind is Kind.CMD))',
        (f"{_LINK_TESTS}::test_messages_of_every_kind_arrive_and_come",),
    ),
    Break(
        "mqtt-not-retained",
        "MQTT publisher",
        "status and birth are not retained",
        "edge_agent/io/mqtt_session.py",
        "retain=out.kind in RETAINED,",
        "retain=False,",
        (f"{_LINK_TESTS}::test_online_is_retained_and_offline_is_said_at_the_end",),
    ),
    Break(
        "mqtt-birth-not-retained",
        "MQTT publisher",
        "the newest birth is not left with the broker",
        "edge_agent/io/delivery_loop.py",
        "if action.retained_birth:",
        "if False:",
        ("tests/edge_agent/io/test_delivery_loop_stage.py::test_a_birth_goes_out_in_sequence_and_retained",),
    ),
    Break(
        "mqtt-no-last-will",
        "MQTT publisher",
        "the last will says online",
        "edge_agent/io/mqtt_session.py",
        'client.will_set(self._topics[Kind.STATUS], self._identity.status("offline")',
        'client.will_set(self._topics[Kind.STATUS], self._identity.status("online")',
        (f"{_LINK_TESTS}::test_the_last_will_says_offline",),
    ),
)

CONTRACT = (
    Break(
        "contract-bomb",
        "wire contract",
        "a message is unpacked without bound",
        "edge_agent/contract/encoding.py",
        "raw = stream.decompress(payload, MAX_UNPACKED + 1)",
        "raw = stream.decompress(payload)[: MAX_UNPACKED]",
        ("tests/edge_agent/contract/test_contract_laws.py::test_a_bomb_is_not_unpacked",),
    ),
    Break(
        "contract-steps",
        "wire contract",
        "time offsets are not added up",
        "edge_agent/contract/encoding.py",
        "        now += step\n",
        "        now = t0 + step\n",
        (
            "tests/edge_agent/contract/test_encoding_stage.py::test_times_are_sums_of_their_steps",
            "tests/collector/intake/test_interpret_stage.py::test_offsets_add_up_from_the_message_to_each_instant",
        ),
    ),
)

AGENT = (*WIRE, *SESSION, *VALUES, *BUS, *BATCH, *OUTBOX, *MQTT, *CONTRACT)
