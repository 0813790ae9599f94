"""Where the API listens: sockets, TLS, and what must hold before it may. Knows no services."""
