"""The evidence store: objects, keys, signatures, ledger and the leak gate."""
