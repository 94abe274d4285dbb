"""What `make demo` consists of beside PostgreSQL, the gateway and nginx."""
