"""How long tests wait for what has to come: long enough for a slow machine that does other work as well.

Nothing that passes takes longer for it. It is less than pytest gives a test, so that one that waited in vain
says for what.
"""

PATIENCE_S = 240.0
