"""Who reads the data, how much and from where, by the logs of storage and warehouse."""
