"""The checks, each a function of a :class:`cluster.site.Site` that returns what it saw.

What a check looked at is judged by a pure function beside it, so that judging is tested without a
cluster. :data:`cluster.order.CHECKS` lists them all.
"""
