"""The only importer of Airflow; everything else runs without it."""
