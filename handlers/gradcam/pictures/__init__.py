"""Pictures as arrays: decoded, made into the network's input, coloured and encoded."""
