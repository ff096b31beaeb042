"""How many replicas a load needs: a capacity model, and a simulation that it is checked against."""
