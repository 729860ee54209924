# syntax=docker/dockerfile:1
# Two stages: the first installs the locked packages, the second holds them and nothing to build with.

FROM python:3.11-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements/tools.txt requirements/runtime.txt requirements/
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/tools.txt \
 && uv venv /opt/billing \
 && VIRTUAL_ENV=/opt/billing uv pip install --no-cache --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY billing billing
COPY webhooks webhooks
COPY entitlements entitlements
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation -w wheel . \
 && uv pip install --no-cache --python /opt/billing --no-deps wheel/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="mobile-addons-billing" org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 billing \
 && useradd --uid 10001 --gid billing --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin billing \
 && python -m pip uninstall --yes --quiet pip setuptools wheel
COPY --from=build /opt/billing /opt/billing
ENV PATH=/opt/billing/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# Of the web server; docker-compose.yml says what health means for the others.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["billing"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
