"""The parts of ``scripts/evaluate.py``: pictures, contenders, measures, tables and plots."""
