# In place of the official image of PostgreSQL: Debian's packages in the same places, and test/images/entrypoint.
ARG BASE
FROM ${BASE}
ARG PG_MAJOR
ENV PG_MAJOR=$PG_MAJOR PGDATA=/var/lib/postgresql/data PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$PG_MAJOR/bin
RUN mkdir -p /etc/postgresql-common /docker-entrypoint-initdb.d \
    && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf \
    && apt-get update && apt-get install -y --no-install-recommends "postgresql-$PG_MAJOR" \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 700 -o postgres -g postgres "$PGDATA"
COPY entrypoint /usr/local/bin/docker-entrypoint.sh
USER postgres
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD ["postgres"]
