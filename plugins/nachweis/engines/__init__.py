"""The only users of the heavy libraries: tables, expectations, drift, fairness."""
