# syntax=docker/dockerfile:1

# Builds with all packages, then drops those that only the build needs.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src/ src/
RUN node_modules/.bin/tsc -p tsconfig.build.json \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

# Node and CA certificates: no shell, no package manager, and nothing that the gateway's user can write to.
FROM gcr.io/distroless/nodejs24-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="A reverse proxy that asks a policy engine before every request" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /app/node_modules/ /app/node_modules/
COPY --from=build /app/dist/ /app/dist/
COPY --chmod=0555 bin/ /app/bin/
COPY --chmod=0444 package.json LICENSE /app/
ENV NODE_ENV=production
# One thread beside the one that serves, and little that is collected at a time: else requests wait where there is one core.
ENV NODE_OPTIONS="--v8-pool-size=1 --max-semi-space-size=4"
# A number, since Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
# config/, policies/ and log/ are mounted here, laid out as in the repository.
WORKDIR /etc/sallyport
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["/nodejs/bin/node", "--no-memory-reducer", "/app/bin/sallyport", "health"]
# Not a thing for NODE_OPTIONS: Node takes this one from its command line alone.
ENTRYPOINT ["/nodejs/bin/node", "--no-memory-reducer", "/app/bin/sallyport"]
CMD ["serve", "--config", "/etc/sallyport/config/sallyport.yaml"]
