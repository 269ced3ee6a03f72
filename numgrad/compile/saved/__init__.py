"""Captured programs in files: what a file says (`values`), writing (`writing`), reading and checking (`reading`), and the
callable that a loaded file is (`program`).

A file is one of safetensors. Its tensors are the memory that a program found: parameters, states of optimizers and generators,
constants. Its metadata hold the program as JSON: names of ops with their parameters, and the places of their operands. There is
no machine code, no address and no pickle. A reader makes each plan anew, and a plan proves its shapes; so what remains to be
checked is that each operand lies within its memory and was written before.
"""
