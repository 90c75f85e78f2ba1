"""Pure. Warning lifecycle, routing, escalation."""
