-- Run when the cluster of postgresql.Dockerfile is made. Odoo makes databases of template1 with --db-template=template1.
\connect template1
CREATE EXTENSION odoo_bus;
