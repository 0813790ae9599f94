"""What tells systemd that the daemon is well. Knows nothing of why it is not."""
