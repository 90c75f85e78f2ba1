"""Does I/O: log, operations database, broker, MQTT."""
