"""A database of a private cluster, with the bus as an Odoo server lays it out."""
import json

ODOO_TABLES = """
CREATE TABLE res_users (id serial PRIMARY KEY, login varchar NOT NULL UNIQUE);
INSERT INTO res_users (login) VALUES ('admin');
CREATE TABLE bus_bus (
    id serial PRIMARY KEY,
    channel varchar,
    message varchar,
    create_uid int4 REFERENCES res_users ON DELETE SET NULL,
    create_date timestamp,
    write_uid int4 REFERENCES res_users ON DELETE SET NULL,
    write_date timestamp
);
"""


class Database:
    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def install(self):
        """Odoo's tables, then the extension."""
        with self.connect() as connection:
            connection.execute(ODOO_TABLES)
            connection.execute("CREATE EXTENSION odoo_bus")
        return self

    @property
    def conninfo(self):
        return self.cluster.conninfo(self.name)

    def connect(self, autocommit=True, **parameters):
        return self.cluster.connect(self.name, autocommit=autocommit, **parameters)

    def execute(self, statement, parameters=None):
        """One statement in a connection of its own; returns its rows, if it has any."""
        return self.cluster.execute(statement, parameters, dbname=self.name)

    def value(self, statement, parameters=None):
        return self.execute(statement, parameters)[0][0]

    def psql(self, *arguments, **options):
        return self.cluster.psql(*arguments, dbname=self.name, **options)

    def sendone(self, channel, notification_type="test", payload=None):
        """Sends to a string channel in a transaction of its own; returns the id."""
        return self.value("SELECT bus_sendone(%s, %s, %s::jsonb)", (channel, notification_type, json.dumps(payload)))

    def sendmany(self, notifications):
        """Sends `[target, type, payload]`s in one transaction; returns the ids."""
        return self.value("SELECT bus_sendmany(%s::jsonb)", (json.dumps(notifications),))

    def channel(self, *parts):
        """The channel as it is stored: channel("x"), channel("res.partner", 3)."""
        return stored_channel(self.name, *parts)

    def rows(self):
        """Every row as (id, channel as a list, message as a dictionary), by id."""
        return [(i, json.loads(c), json.loads(m))
                for i, c, m in self.execute("SELECT id, channel, message FROM bus_bus ORDER BY id")]

    def drop(self):
        self.cluster.drop_database(self.name)


def stored_channel(database, *parts):
    return json.dumps([database, *parts], separators=(",", ":"))
