# The service in an image of its own, without Jupyter and without torch:
#
#     docker build -t camredact .
#     docker run --rm --read-only --cap-drop ALL --memory 2g -e CAMREDACT_TOKEN=... -p 8000:8000 camredact
#
# It prints the address with its token. Pictures stay in memory: it writes no file. Put TLS before it, or mount a
# certificate and add --cert and --key at the end, because browsers give no camera to pages on plain http. Where Docker
# carries connections by a program of its own (its userland proxy), all clients have one address, and the limits for each
# address hold for all of them together.
FROM python:3.11-slim AS build
WORKDIR /src
COPY locks/service.txt locks/service.txt
RUN python -m venv /opt/camredact \
    && /opt/camredact/bin/pip install --no-cache-dir --require-hashes -r locks/service.txt
COPY settings.ini setup.py pyproject.toml README.md LICENSE NOTICE ./
COPY nbs/live.ipynb nbs/live.ipynb
COPY camredact camredact
RUN /opt/camredact/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/camredact/bin/pip uninstall -y setuptools pip

FROM python:3.11-slim
COPY --from=build /opt/camredact /opt/camredact
ENV PATH=/opt/camredact/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
# Without looking at the certificate, where there is one: it is made for a name, and this is an address.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", "from ssl import _create_unverified_context as unverified\nfrom urllib.request import urlopen\ntry: urlopen('http://127.0.0.1:8000/health', timeout=2)\nexcept Exception: urlopen('https://127.0.0.1:8000/health', timeout=2, context=unverified())"]
ENTRYPOINT ["camredact", "serve", "--host", "0.0.0.0", "--port", "8000"]
