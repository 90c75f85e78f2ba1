"""Pure. What crosses the wire, shared by agent and collector; needs nothing but msgspec."""
