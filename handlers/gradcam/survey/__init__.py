"""What a network is made of: its layers, which of them can be explained, and where it reads what.

Done once, when a model is loaded; nothing here knows of requests.
"""
