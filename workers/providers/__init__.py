"""The vendors, each behind the same interface."""
