# The serving image. scripts/build_image.sh builds it, scripts/check_image.sh tries it, and
# docs/image.md says why it is as it is.
#
# Any Debian base with CPython 3.11 to 3.13 as python3 will do, wherever that Python lies; every
# stage has the same one, because a virtual environment points at its interpreter.
# scripts/pin_base.py writes the digest here.
ARG BASE=python:3.11-slim-bookworm

# --- what every stage stands on ---------------------------------------------------------------
FROM ${BASE} AS base
ENV DEBIAN_FRONTEND=noninteractive
RUN python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
    || { echo "this base has no CPython 3.11 to 3.13 as python3" >&2; exit 1; }

# --- a Java runtime of what TorchServe uses ---------------------------------------------------
FROM base AS java
# 17, which TorchServe is tested with; where the base's Debian has none any more, its default.
# Some slim bases lack the folder that the JDK's package puts links into.
RUN mkdir -p /usr/share/man/man1 && apt-get update \
    && jdk=openjdk-17-jdk-headless \
    && { apt-cache show "$jdk" >/dev/null 2>&1 || jdk=default-jdk-headless; } \
    && apt-get install -y --no-install-recommends "$jdk" binutils \
    && rm -rf /var/lib/apt/lists/*
# jdeps cannot read TorchServe's jar; these are the modules that it was seen to use.
RUN jlink --output /opt/java --strip-debug --no-header-files --no-man-pages --compress=2 \
    --add-modules java.base,java.logging,java.management,java.naming,java.sql,java.xml \
    --add-modules java.desktop,java.instrument,java.scripting,java.compiler,java.security.jgss \
    --add-modules jdk.crypto.ec,jdk.unsupported,jdk.management,jdk.zipfs \
    && owner="$(dpkg-query -S "$(readlink -f "$(command -v jlink)")")" \
    && dpkg-query -W -f '${source:Package} ${source:Version}\n' "${owner%%:*}" >/opt/java/debian-source

# --- tools that build, and stay behind --------------------------------------------------------
FROM base AS tools
# Debian's own Python comes without venv and ensurepip
RUN python3 -c 'import ensurepip, venv' 2>/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends python3-venv \
         && rm -rf /var/lib/apt/lists/*; }
COPY requirements/image-tools.lock /build/
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
       --requirement /build/image-tools.lock

# --- the Python packages ----------------------------------------------------------------------
FROM tools AS packages
# cuda, or cpu together with the index that has PyTorch's CPU builds
ARG VARIANT=cuda
ARG INDEX_URL=
COPY requirements/image-${VARIANT}.lock /build/packages.lock
# pip works from outside, so that the environment never holds one
RUN python3 -m venv --without-pip /opt/venv \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
       --no-deps --only-binary :all: --require-hashes \
       ${INDEX_URL:+--extra-index-url "$INDEX_URL"} --requirement /build/packages.lock
# What is for compiling against, and packages' own tests, go; the rest is compiled to bytecode,
# which is never checked against its source, for nothing changes in an image.
COPY scripts/image/trim.py /build/
RUN python3 /build/trim.py /opt/venv \
    && find /opt/venv ! -type l ! -perm -044 -exec chmod a+rX {} +

# --- the demo model ---------------------------------------------------------------------------
FROM packages AS demo
COPY handlers /build/handlers
COPY models /build/models
COPY scripts /build/scripts
COPY pyproject.toml /build/
# the archiver lies in the tools' environment; only it is to be seen from here
RUN mkdir /build/archiver && cp -r /opt/tools/lib/python3*/site-packages/model_archiver /build/archiver/ \
    && PYTHONPATH=/build/archiver /opt/venv/bin/python /build/scripts/package_model.py \
       --arch demo_net --export-path /model-store \
    && find /model-store -type f ! -name '*.mar' -delete && chmod -R u=rwX,g=rX,o=rX /model-store

# --- our own code, with modes that do not depend on the checkout's ------------------------------
FROM base AS code
COPY container /opt/gradcam/container
COPY config.properties metrics.yaml LICENSE /opt/gradcam/
RUN find /opt/gradcam -name __pycache__ -prune -exec rm -r {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/gradcam \
    && chmod -R u=rwX,g=rX,o=rX /opt/gradcam

# --- what runs --------------------------------------------------------------------------------
FROM base AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends nginx tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/* /var/cache/debconf/*-old
COPY scripts/image/harden.sh /tmp/
RUN sh /tmp/harden.sh && rm /tmp/harden.sh
COPY --from=java /opt/java /opt/java
COPY --from=packages /opt/venv /opt/venv
COPY --from=demo /model-store /model-store
COPY --from=code /opt/gradcam /opt/gradcam

# --- the bill of materials of just that ---------------------------------------------------------
FROM runtime AS materials
ARG VERSION=unknown
COPY --from=tools /opt/tools /opt/tools
COPY scripts/image/materials.py /build/
RUN mkdir /usr/share/sbom && /opt/tools/bin/python /build/materials.py --venv /opt/venv \
    --java /opt/java --version "$VERSION" --output /usr/share/sbom/gradcam.cdx.json

FROM runtime
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
ARG VARIANT=cuda
ARG BASE
COPY --from=materials /usr/share/sbom /usr/share/sbom
# for whoever is inside; and without it buildah takes labels of an earlier revision out of its cache
RUN echo "$VERSION $REVISION" >/opt/gradcam/built-from
LABEL org.opencontainers.image.title="torchserve-gradcam" \
      org.opencontainers.image.description="Image classification with Grad-CAM explanations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}" \
      gradcam.variant="${VARIANT}"
# NVIDIA's container runtime reads the two of its own: which devices, and that CUDA is what is
# wanted of the driver. CUDA itself came with the wheels.
ENV PATH=/opt/venv/bin:/opt/java/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    JAVA_HOME=/opt/java \
    HOME=/run/gradcam \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/gradcam \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /opt/gradcam
EXPOSE 8000 8002
USER 10001:0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-m", "container.health", "ready"]
# -g: should the entry point ever hang, what it started in its own group is told as well
ENTRYPOINT ["/usr/bin/tini", "-g", "--", "python", "-m", "container.entrypoint"]
