"""Pure. Step machines between a reading and its receipt: outbox, send window, receipts, stamping."""
