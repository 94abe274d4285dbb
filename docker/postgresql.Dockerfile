# PostgreSQL with the extension, preloaded, and created in template1: databases that are made of it have it. Or, with
# --target extension, the extension alone: an image volume for CloudNativePG, whose PostgreSQL 18 finds it by
# extension_control_path. `make images` builds both.
#
# --build-arg BASE=...: an image of PostgreSQL with Debian's layout, whose version the extension is built for.
ARG BASE=docker.io/library/postgres:15-bookworm
FROM ${BASE} AS build
USER root
RUN apt-get update && apt-get install -y --no-install-recommends g++ make "postgresql-server-dev-$PG_MAJOR" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Makefile LICENSE ./
COPY extension extension
COPY common common
RUN pg_config="/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" \
    && make PG_CONFIG="$pg_config" && make install PG_CONFIG="$pg_config" DESTDIR=/installed \
    && mkdir -p /volume/lib /volume/share/extension /volume/licenses \
    && cp "/installed$("$pg_config" --pkglibdir)/odoo_bus.so" /volume/lib/ \
    && cp "/installed$("$pg_config" --sharedir)"/extension/odoo_bus* /volume/share/extension/ \
    && cp LICENSE /volume/licenses/

FROM scratch AS extension
ARG VERSION=unknown
LABEL org.opencontainers.image.title="odoo_bus" \
      org.opencontainers.image.description="The PostgreSQL extension odoo_bus, as an image volume" \
      org.opencontainers.image.licenses="PostgreSQL" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /volume/ /

FROM ${BASE} AS server
ARG VERSION=unknown
LABEL org.opencontainers.image.title="odoo-bus-postgresql" \
      org.opencontainers.image.description="PostgreSQL with the extension odoo_bus" \
      org.opencontainers.image.licenses="PostgreSQL" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /installed/ /
COPY docker/template1.sql /docker-entrypoint-initdb.d/odoo_bus.sql
CMD ["postgres", "-c", "shared_preload_libraries=odoo_bus"]
