"""The parts of ``scripts/cluster_check.py``: what is deployed, looked at, judged and told.

rendering   kustomize's output, placed into a namespace of its own      (pure but for kustomize)
deployed    what the checks need to know of it, read off the manifests  (pure)
api         the one module that knows the Kubernetes client
inside/     programs that run in pods, standard library only
checks/     one small function for each check; judging apart from looking
findings    verdicts, the table, the document                           (pure)
"""
