"""Logits and maps: the network run forwards, and the gradient taken at its target layers.

Tensors and questions in, tensors out; nothing here knows of pictures, requests or answers.
"""
