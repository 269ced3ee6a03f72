"""How tangents (`tangents`) and batches of examples (`batching`) go through the ops that are not elementwise.

Imported when somebody needs a rule: most programs never do.
"""

from __future__ import annotations
