# One image for every Airflow component. Dependencies come from the hashed lock file; the package is
# not installed but lies on the plugins path, so that a dropped-in check needs no new image.
FROM python:3.11-slim-bookworm AS environment
COPY requirements-production.lock /build/requirements-production.lock
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-deps \
        -r /build/requirements-production.lock

FROM python:3.11-slim-bookworm
RUN groupadd --gid 50000 nachweis \
    && useradd --uid 50000 --gid 50000 --no-create-home --home-dir /opt/airflow nachweis \
    && install -d -o nachweis -g nachweis /opt/airflow /var/lib/nachweis /var/log/airflow
COPY --from=environment /opt/venv /opt/venv
WORKDIR /opt/nachweis
COPY docker docker
RUN ln -s /opt/nachweis/docker/nachweis /usr/local/bin/nachweis
COPY plugins plugins
COPY dags dags
COPY controls controls
COPY templates templates
COPY manifests manifests
COPY expectations expectations
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/nachweis/plugins \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nachweis/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nachweis/plugins \
    NACHWEIS_STATE=/var/lib/nachweis
USER 50000:50000
ENTRYPOINT ["/opt/nachweis/docker/with-secrets"]
CMD ["airflow", "version"]
