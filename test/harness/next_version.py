"""A next version of the extension, made up: this one's source with another version number, and one more function."""
from .installation import Source

NEXT = "99.0"
SQL = """
CREATE FUNCTION @extschema@.bus_next() RETURNS text LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'odoo_bus_next';
COMMENT ON FUNCTION @extschema@.bus_next() IS 'what the next version is for';
REVOKE ALL ON FUNCTION @extschema@.bus_next() FROM PUBLIC;
"""
CODE = """
#include "pg.h"

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_next);

Datum odoo_bus_next(PG_FUNCTION_ARGS) {
    PG_RETURN_TEXT_P(cstring_to_text("next"));
}
}
"""


def next_version(directory):
    """Its source, with the script that leads to it from this version."""
    source = Source(directory)
    whole = source.script(source.version).read_text()
    source.script(f"{source.version}--{NEXT}").write_text(SQL)
    source.set_version(NEXT)
    source.script(NEXT).write_text(whole + SQL)
    (source.directory / "extension/next.cpp").write_text(CODE)
    return source
