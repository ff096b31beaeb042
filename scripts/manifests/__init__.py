"""Kubernetes manifests: rendered with kustomize, and checked without a cluster.

``kustomize`` makes resources of an overlay; ``builtin`` and ``custom`` hold each against the schema
of its kind, as ``tightening`` and ``keyed_lists`` add to it; ``pods``, ``mounts``, ``references``,
``networks``, ``scaling``, ``alerts`` and ``kserve`` hold them against each other and against what
ours must have. ``checking`` is all of that in one function.
"""
