# One image for each service: docker build --build-arg SERVICE=router -t tasklane/router:0.1.0 .
# SERVICE is the name of a folder under services/, or cli for the `tasklane` command.

ARG RUST_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

# All binaries in one go, for they share nearly all they are made of: the second image is built in seconds.
FROM ${RUST_IMAGE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Before the sources, so that a change of ours does not fetch it again.
COPY scripts scripts
COPY tests/clients tests/clients
COPY services/ml/tests/reference services/ml/tests/reference
RUN TASKLANE_CACHE=/opt/tasklane scripts/setup.sh pdfium libtorch
COPY . .
# Dependencies stay in the cache of the builder: what changed of ours is compiled again, and nothing else. Where libtorch
# could not be had, the images of all services but ml are made all the same.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/var/cache/target,sharing=locked \
    services=$(basename -a services/*); \
    if LIBTORCH=$(TASKLANE_CACHE=/opt/tasklane scripts/setup.sh --print-path libtorch); then export LIBTORCH; \
    else services=$(echo "$services" | grep -vx ml); fi; \
    CARGO_TARGET_DIR=/var/cache/target cargo build --release --locked -p tasklane \
       $(echo "$services" | sed 's/^/-p tasklane-/') \
    && mkdir /built && find /var/cache/target/release -maxdepth 1 -type f -name 'tasklane*' -executable -exec cp {} /built/ \; \
    && strip --strip-debug /built/*

FROM build AS chosen
ARG SERVICE
RUN mkdir /app \
    && cp "/built/$(if [ "$SERVICE" = cli ]; then echo tasklane; else echo "tasklane-$SERVICE"; fi)" /app/ \
    && ln -s "$(basename /app/tasklane*)" /app/service \
    && if [ "$SERVICE" = document ]; then cp "$(TASKLANE_CACHE=/opt/tasklane scripts/setup.sh --print-path pdfium)" /app/; fi \
    && if [ "$SERVICE" = ml ]; then cp -RL "$(TASKLANE_CACHE=/opt/tasklane scripts/setup.sh --print-path libtorch)/lib" /app/libtorch; fi

FROM ${BASE_IMAGE}
ARG SERVICE
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --uid 10001 tasklane \
    # What a volume for files that may be lost is laid over, whoever the service runs as.
    && install -d -m 1777 /var/cache/tasklane
COPY --from=chosen /app /app
USER 10001
ENV TASKLANE_LOG_FORMAT=json PATH=/app:/usr/local/bin:/usr/bin:/bin
LABEL org.opencontainers.image.title="tasklane-${SERVICE}" org.opencontainers.image.licenses="Apache-2.0"
# The service asks itself: the image has no other program that could.
HEALTHCHECK --interval=3s --timeout=3s --start-period=60s CMD ["/app/service", "--health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/service"]
