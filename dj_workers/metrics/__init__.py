"""What Prometheus sees: of a worker by the events of its jobs, of the database by the exporter."""
