# A worker, the dispatcher or the exporter, by what is given as the command: docker run IMAGE run MODULE
# EXTRAS are those of pyproject.toml that the pipeline needs; its own packages go into an image made FROM this one.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=demo
WORKDIR /src
COPY pyproject.toml README.md ./
COPY dj_schema dj_schema
COPY dj_query dj_query
COPY dj_jobs dj_jobs
COPY dj_workers dj_workers
COPY datajoint datajoint
RUN python -m venv /opt/dj && /opt/dj/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
# tini passes SIGTERM on and takes up orphans, so that a make may start programs of its own.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 dj \
    && useradd --uid 10001 --gid dj --create-home --shell /usr/sbin/nologin dj \
    && install -d -o dj -g dj /pipeline
COPY --from=build /opt/dj /opt/dj
ENV PATH=/opt/dj/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp \
    DJ_WORKER_METRICS_PORT=9400
USER 10001:10001
# The pipeline is mounted, or copied, here: dj-worker imports from the current folder.
WORKDIR /pipeline
STOPSIGNAL SIGTERM
# `run` serves its probes there without being told; other commands need --metrics-port 9400.
EXPOSE 9400
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 \
    CMD ["dj-worker", "probe", "--metrics-port", "9400"]
ENTRYPOINT ["tini", "--", "dj-worker"]
CMD ["--help"]
