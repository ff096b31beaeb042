"""The parts of ``scripts/inspect_model.py``: receptive fields, prices, tables, contact sheet."""
