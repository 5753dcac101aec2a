# docker build -t renderbros .                           a worker, or with the command "dispatcher" a dispatcher
# docker build --target blender -t renderbros-blender .  runs the tests in Debian's own Blender

FROM debian:trixie-slim AS blender
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        blender bubblewrap ca-certificates libegl1 libgl1-mesa-dri python3-pip \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --home-dir /data renderbros
ENV RENDERBROS_HOME=/opt/renderbros-packages PIP_NO_CACHE_DIR=1
WORKDIR /opt/renderbros
COPY pyproject.toml ./
COPY bootstrap bootstrap
RUN blender -b --python-exit-code 1 --python bootstrap/start.py -- prepare test \
    && blender -b --python-exit-code 1 --python bootstrap/start.py -- prepare
COPY . .
USER renderbros
ENTRYPOINT ["blender", "-b", "--python-exit-code", "1", "--python", "/opt/renderbros/bootstrap/start.py", "--"]
CMD ["test", "-p", "no:cacheprovider"]


FROM debian:bookworm-slim AS worker
# The bpy wheel brings Blender; what follows Python is what it expects of the system: X libraries, and Mesa for the
# engines that draw (EEVEE, Workbench). bubblewrap keeps scenes away from everything else in the container.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        python3 python3-venv bubblewrap ca-certificates \
        libegl1 libgl1 libgl1-mesa-dri libgomp1 libsm6 libx11-6 libxfixes3 libxi6 libxkbcommon0 libxrender1 libxxf86vm1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --home-dir /data renderbros
ENV RENDERBROS_HOME=/opt/renderbros-environment PIP_NO_CACHE_DIR=1
WORKDIR /opt/renderbros
COPY pyproject.toml ./
COPY bootstrap bootstrap
RUN python3 bootstrap/start.py prepare
COPY __init__.py blender_manifest.toml LICENSE README.md ./
COPY renderbros_addon renderbros_addon
RUN python3 -m compileall -q bootstrap renderbros_addon
ENV RENDERBROS_WORKER_DATA=/data/worker RENDERBROS_DISPATCHER_DATA=/data/dispatcher RENDERBROS_FARM_DATA=/data/farm
USER renderbros
WORKDIR /data
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python3", "/opt/renderbros/bootstrap/start.py", "health"]
ENTRYPOINT ["python3", "/opt/renderbros/bootstrap/start.py"]
CMD ["worker"]
