"""Does I/O: serial and TCP links, outbox file, MQTT publisher, service manager."""
