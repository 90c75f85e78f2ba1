"""Pure. One file one protocol: sessions as generators that yield what to do on the wire. No I/O."""
