# Three images: `docker build --target serving .` is the service, `--target companion .` the companion, which moves its log,
# `--target monitor .` the monitor.
#
# The serving target stands first: the classic builder works through every stage above the one that it is asked for.
# The base is pinned by tag. A digest would be stricter, and would refuse every mirror or stand-in that carries the
# same release under its public name. Everything on top of it is pinned by hash.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# The service's packages, in an environment that never had pip inside. Left out: what nothing here imports, 100 MB of
# it (ONNX Runtime's C library beside the one that Python loads, its converters, tests, headers, stubs).
# numpy.testing needs `_natype.py` of numpy's tests.
FROM ${PYTHON_IMAGE} AS serving-packages
COPY requirements/serving.txt /build/
RUN python3 -m venv --without-pip /opt/windsock \
 && python3 -m pip --python /opt/windsock/bin/python install --quiet --no-cache-dir --no-compile \
      --disable-pip-version-check --only-binary :all: --require-hashes --no-deps --requirement /build/serving.txt \
 && cd /opt/windsock/lib/python3*/site-packages \
 && rm -rf onnxruntime/capi/libonnxruntime.so.* onnxruntime/transformers onnxruntime/tools \
      onnxruntime/quantization onnxruntime/datasets \
 && find . -type d \( -name tests -o -name test \) -prune -exec sh -c \
      'for d; do case $d in ./numpy/_core/tests) find "$d" -mindepth 1 ! -name _natype.py -delete ;; *) rm -rf "$d" ;; esac; done' - {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.h' \) -delete

# What all images have of the application, as byte code beside its source, and what makes `windsock --version` true.
FROM ${PYTHON_IMAGE} AS app
COPY cli/__init__.py cli/__main__.py cli/options.py /opt/windsock/app/cli/
COPY contracts /opt/windsock/app/contracts
ARG VERSION=0.2.0
RUN cd /opt/windsock/app && mkdir bin windsock.dist-info \
 && printf 'Metadata-Version: 2.1\nName: windsock\nVersion: %s\n' "$VERSION" > windsock.dist-info/METADATA \
 && printf '#!/opt/windsock/bin/python\nfrom cli import main\n\nmain()\n' > bin/windsock && chmod 755 bin/windsock \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/windsock/app

FROM app AS serving-app
COPY cli/service.py /opt/windsock/app/cli/
COPY monitoring/__init__.py /opt/windsock/app/monitoring/
COPY monitoring/spool /opt/windsock/app/monitoring/spool
COPY monitoring/metrics /opt/windsock/app/monitoring/metrics
COPY services/__init__.py /opt/windsock/app/services/
COPY services/core /opt/windsock/app/services/core
COPY services/generated /opt/windsock/app/services/generated
COPY services/grpc /opt/windsock/app/services/grpc
COPY services/process /opt/windsock/app/services/process
COPY services/rest /opt/windsock/app/services/rest
COPY services/wire /opt/windsock/app/services/wire
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/windsock/app

# The base without pip and its like, package caches, documentation and set-uid programs; then all Python as byte code.
# `unchecked-hash`: taken as it is. On a read-only root Python could not renew byte code that it mistrusts by its date.
FROM ${PYTHON_IMAGE} AS serving-root
RUN stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && rm -rf "$stdlib/ensurepip" "$stdlib/test" "$stdlib/idlelib" "$stdlib/lib2to3" /usr/share/python-wheels \
      /usr/share/doc /usr/share/man /usr/share/info /usr/share/lintian /var/cache/apt /var/lib/apt/lists /root/.cache \
 && find /usr/lib/python3 /usr/local/lib /usr/local/bin /usr/bin -depth \
      \( -name pip -o -name 'pip[0-9]*' -o -name 'pip-*' -o -name 'setuptools*' -o -name pkg_resources \
         -o -name wheel -o -name 'wheel-*' -o -name '_distutils_hack' -o -name distutils-precedence.pth \) \
      -exec rm -rf {} + \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=serving-packages /opt/windsock /opt/windsock
RUN python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" /opt/windsock/lib

# One layer instead of the base's own: what was deleted is in no layer below.
FROM scratch AS serving
COPY --from=serving-root / /
COPY --from=serving-app /opt/windsock/app /opt/windsock/app
ENV PATH=/opt/windsock/app/bin:/opt/windsock/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/windsock/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp TMPDIR=/tmp BENTOML_HOME=/tmp/bentoml BENTOML_DO_NOT_TRACK=True DO_NOT_TRACK=1
# Where the image looks, that it answers from outside, and that the companion is another image's. All of it but /tmp and /state may
# be read-only.
ENV WINDSOCK_STORE=/models WINDSOCK_PUBLIC_KEY=/keys/signing.pub WINDSOCK_TOKENS_FILE=/secrets/tokens.json \
    WINDSOCK_STATE=/state WINDSOCK_HOST=0.0.0.0 WINDSOCK_METRICS_HOST=0.0.0.0 WINDSOCK_COMPANION=false
WORKDIR /opt/windsock/app
USER 10001:10001
EXPOSE 3000 3001 3002
ENTRYPOINT ["windsock"]
CMD ["serve"]
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="windsock serving" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# --- The companion: the database's libraries, and nothing that answers requests.
FROM ${PYTHON_IMAGE} AS companion-packages
COPY requirements/companion.txt /build/
RUN python3 -m venv --without-pip /opt/windsock \
 && python3 -m pip --python /opt/windsock/bin/python install --quiet --no-cache-dir --no-compile \
      --disable-pip-version-check --only-binary :all: --require-hashes --no-deps --requirement /build/companion.txt \
 && cd /opt/windsock/lib/python3*/site-packages \
 && find . -type d \( -name tests -o -name test \) -prune -exec sh -c \
      'for d; do case $d in ./numpy/_core/tests) find "$d" -mindepth 1 ! -name _natype.py -delete ;; *) rm -rf "$d" ;; esac; done' - {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.h' \) -delete

FROM app AS companion-app
COPY cli/service.py cli/monitor.py /opt/windsock/app/cli/
COPY monitoring/__init__.py /opt/windsock/app/monitoring/
COPY monitoring/spool /opt/windsock/app/monitoring/spool
COPY monitoring/log /opt/windsock/app/monitoring/log
COPY services/__init__.py /opt/windsock/app/services/
COPY services/companion /opt/windsock/app/services/companion
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/windsock/app

FROM serving-root AS companion-root
RUN rm -rf /opt/windsock
COPY --from=companion-packages /opt/windsock /opt/windsock
RUN python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/windsock/lib

FROM scratch AS companion
COPY --from=companion-root / /
COPY --from=companion-app /opt/windsock/app /opt/windsock/app
ENV PATH=/opt/windsock/app/bin:/opt/windsock/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/windsock/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp TMPDIR=/tmp DO_NOT_TRACK=1
ENV WINDSOCK_STORE=/models WINDSOCK_PUBLIC_KEY=/keys/signing.pub WINDSOCK_STATE=/state
WORKDIR /opt/windsock/app
USER 10001:10001
ENTRYPOINT ["windsock"]
CMD ["companion"]
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="windsock companion" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# --- The monitor: the companion's packages, Evidently with what it computes with, and what runs and grows the reference scorer.
# What Evidently calls tests are parts of it. LightGBM's wheel wants the system's libgomp, which the base has not: it gets
# the one that scikit-learn's wheel brings, so both share one.
FROM companion-packages AS monitor-packages
COPY requirements/monitor.txt /build/
RUN python3 -m pip --python /opt/windsock/bin/python install --quiet --no-cache-dir --no-compile \
      --disable-pip-version-check --only-binary :all: --require-hashes --no-deps --requirement /build/monitor.txt \
 && cd /opt/windsock/lib/python3*/site-packages \
 && rm -rf jupyterlab_plotly pyarrow/include pyarrow/libarrow_flight.so.* pyarrow/libarrow_substrait.so.* \
      evidently/legacy/dashboard/tabs/*.ipynb \
      onnxruntime/capi/libonnxruntime.so.* onnxruntime/transformers onnxruntime/tools \
      onnxruntime/quantization onnxruntime/datasets \
 && mkdir /opt/windsock/native && ln -s "$PWD"/scikit_learn.libs/libgomp-*.so* /opt/windsock/native/libgomp.so.1 \
 && find . -type d \( -name tests -o -name test \) -prune -exec sh -c \
      'for d; do case $d in ./numpy/_core/tests|./evidently/*) ;; *) rm -rf "$d" ;; esac; done' - {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.h' \) -delete

FROM serving-root AS monitor-root
RUN rm -rf /opt/windsock
COPY --from=monitor-packages /opt/windsock /opt/windsock
RUN python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/windsock/lib

FROM app AS monitor-app
COPY cli/monitor.py /opt/windsock/app/cli/
COPY monitoring/__init__.py /opt/windsock/app/monitoring/
COPY monitoring/spool /opt/windsock/app/monitoring/spool
COPY monitoring/log /opt/windsock/app/monitoring/log
COPY monitoring/metrics /opt/windsock/app/monitoring/metrics
COPY monitoring/statistics /opt/windsock/app/monitoring/statistics
COPY monitoring/scorer /opt/windsock/app/monitoring/scorer
COPY monitoring/hours /opt/windsock/app/monitoring/hours
COPY monitoring/expected /opt/windsock/app/monitoring/expected
COPY monitoring/detectors /opt/windsock/app/monitoring/detectors
COPY monitoring/watch /opt/windsock/app/monitoring/watch
COPY monitoring/monitor /opt/windsock/app/monitoring/monitor
COPY monitoring/receiver /opt/windsock/app/monitoring/receiver
COPY docs/runbooks /opt/windsock/app/docs/runbooks
COPY web /opt/windsock/app/web
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/windsock/app

FROM scratch AS monitor
COPY --from=monitor-root / /
COPY --from=monitor-app /opt/windsock/app /opt/windsock/app
ENV PATH=/opt/windsock/app/bin:/opt/windsock/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/windsock/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp TMPDIR=/tmp DO_NOT_TRACK=1
ENV LD_LIBRARY_PATH=/opt/windsock/native
# The champion and its key as the service has them; page and gauges from outside; a root that may be read-only.
ENV WINDSOCK_STORE=/models WINDSOCK_PUBLIC_KEY=/keys/signing.pub WINDSOCK_METRICS_HOST=0.0.0.0 WINDSOCK_NO_FILES=1
WORKDIR /opt/windsock/app
USER 10001:10001
EXPOSE 3003
ENTRYPOINT ["windsock"]
CMD ["monitor", "serve"]
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="windsock monitor" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
