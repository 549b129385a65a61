# Two images from one file (BuildKit, the default builder since Docker 23):
#   docker build --target bot .       the chat bot and its web server, without EvalScope
#   docker build --target worker .    evaluates models behind endpoints; brings EvalScope

FROM python:3.11-slim-bookworm AS base

# Scopebot's own wheel, built by the build tools that requirements/dev.txt pins.
FROM base AS wheel
COPY requirements/dev.txt /src/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    sed -nE '/^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/,/[^\\]$/p' /src/requirements/dev.txt > /src/build.txt \
    && python -m venv --without-pip /build \
    && pip --python /build/bin/python install --require-hashes -r /src/build.txt
COPY pyproject.toml README.md LICENSE /src/
COPY bot/ /src/bot/
COPY handlers/ /src/handlers/
COPY jobs/ /src/jobs/
RUN pip --python /build/bin/python wheel --no-deps --no-build-isolation --wheel-dir /wheels /src

FROM base AS worker-packages
COPY requirements/worker.txt /src/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes -r /src/requirements/worker.txt
COPY --from=wheel /wheels/ /wheels/
RUN pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl

FROM base AS bot-packages
COPY requirements/bot.txt /src/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes -r /src/requirements/bot.txt
COPY --from=wheel /wheels/ /wheels/
RUN pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl

# What both images are at run time: no pip, no sources, nobody's home but /data, nothing that runs as root.
FROM base AS runtime
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin scopebot \
    && install --directory --owner=scopebot --group=scopebot --mode=0700 /data /artifacts
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    SCOPEBOT_DATA_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["scopebot"]

# Healthy: this very worker (host name and process id) told Redis in the last 30 s that it lives. A process that is
# merely there would not do: it may hang, or have lost Redis.
FROM runtime AS worker
COPY --from=worker-packages /opt/venv/ /opt/venv/
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s --retries=3 CMD ["python", "-I", "-c", "\
import socket, sys; \
from redis import Redis; \
from jobs.config import Settings; \
from jobs.fleet import living_workers; \
redis = Redis.from_url(Settings().redis_url, socket_timeout=5, socket_connect_timeout=5); \
sys.exit(not any(w['name'] == socket.gethostname() + '-' + w['pid'] for w in living_workers(redis)))"]
CMD ["worker"]

# Healthy: /readyz says that Redis and the database answer. Asked without urllib, which would go through HTTP_PROXY.
FROM runtime AS bot
COPY --from=bot-packages /opt/venv/ /opt/venv/
ENV SCOPEBOT_HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-I", "-c", "\
import http.client, os, sys; \
bot = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('SCOPEBOT_PORT') or 8080), timeout=8); \
bot.request('GET', '/readyz'); \
sys.exit(bot.getresponse().status != 200)"]
CMD ["serve", "--workers", "0"]
