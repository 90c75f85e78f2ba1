"""Pure. Step machines of log, accounting and receipts."""
