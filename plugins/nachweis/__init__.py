"""Nachweis: declared and observed facts about machine-learning models, kept apart and compared.

The folder list is the table of contents: ``domain`` holds the vocabulary, ``engines`` and
``storage`` touch data and buckets, ``checks`` judge, ``pipeline`` runs a night, ``pages`` render
what people read, and ``airflow_bridge`` is the only importer of Airflow.
"""

__version__ = "0.1.0"
