"""One file per check, in families; a dropped file is found by the registry."""
