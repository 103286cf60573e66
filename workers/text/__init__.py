"""What happens to a turn's text before a vendor gets it."""
