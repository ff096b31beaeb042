"""What a network is made of: its layers, which of them can be explained, and where it reads what.

It is looked at once, when a model is loaded (taps and readout serve every pass); nothing here
knows of requests.
"""
