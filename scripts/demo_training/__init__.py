"""The parts of ``scripts/train_demo.py``: data, augmentation, report."""
