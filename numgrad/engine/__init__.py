"""Tape, dispatch and backward: the whole engine. It imports no op and names no kernel."""
