"""The dashboard's queries, asked of a Prometheus that reads the container under known traffic."""
