"""Programs that run inside pods: standard library only, and without any file of their own there.

:func:`cluster.bundle.bundle` makes one source text of them, which a Python in the pod reads from
its standard input. Each has a function ``main`` of its arguments, which returns what is then
printed as JSON.
"""
