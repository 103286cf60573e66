"""The contract between producers, workers and consumers: ids, keys, events, the turn, the ledger, settings."""
