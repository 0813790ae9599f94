"""The daemon in numbers, for Prometheus: read when somebody scrapes, and not before.

Each part has a module of its own: what its figures are called and mean, and how they are told
from a view. exposition.py joins them, routes.py serves them with the health checks.
prometheus_client is imported with the first scrape.
"""
