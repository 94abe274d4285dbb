# make, make install, make installcheck   the extension alone, through PGXS
# make gateway                            build/odoo-bus-gateway
# make client                             client/bus_service.js from client/src, when that has changed
# make demo                               everything, live, on this machine
# make screenshots                        docs/demo/*.png, by the browser tests
# make test                               everything built, and tested as a change must be
# make test-all                           every test that can run on this machine: hours
# make test-matrix                        built and tested in other releases of Debian, PostgreSQL upgraded between them (needs root)
# make test-odoo ODOO_HOME=/path/to/odoo   Odoo's own web client and routes, with an Odoo that you have
# make deb                                build/deb/*.deb: packages for the Debian that this is
# make images                             images of the gateway and of PostgreSQL with the extension, by buildah
# make bench                              the benchmarks
# make site                               build/site: the documents as a site of static files, by mkdocs
# make sbom                               build/odoo_bus.cdx.json: what the gateway and the extension that were built consist of
# make dist                               build/odoo_bus-VERSION.zip for PGXN, of the last commit

EXTENSION = extension/odoo_bus
MODULE_big = odoo_bus
OBJS = $(patsubst %.cpp,%.o,$(sort $(wildcard extension/*.cpp)))
DATA = $(sort $(wildcard extension/odoo_bus--*.sql))
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
# A database in UTF-8 whatever the cluster's locale is.
REGRESS_OPTS = --encoding=UTF8 --no-locale
ISOLATION_OPTS = $(REGRESS_OPTS) --inputdir=test/isolation

# A backend knows no C++ exceptions: without them none can cross a PostgreSQL frame, and no runtime library is needed.
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Wno-unused-parameter
# The version number stands in the control file alone.
BUS_VERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
PG_CPPFLAGS = -DODOO_BUS_VERSION='"$(BUS_VERSION)"'
# Bitcode serves inlining into queries, which means nothing to functions that write a row.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
# Debian's PostgreSQL 13 comes without the program that runs these.
ifneq ($(wildcard $(dir $(PGXS))../test/isolation/pg_isolation_regress),)
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
else ifneq ($(filter installcheck,$(MAKECMDGOALS)),)
$(info the isolation specs are left out: there is no pg_isolation_regress beside $(PGXS))
endif
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
# The compiler's hardening, for a PostgreSQL that was built without it. PostgreSQL's flags follow these, and override them.
supported = $(shell $(CXX) -Werror $(1) -x c++ -c -o /dev/null /dev/null 2>/dev/null && echo '$(1)')
HARDENING := $(call supported,-fstack-protector-strong) $(call supported,-fstack-clash-protection) $(call supported,-fcf-protection)
# The C library warns of this definition without optimization, and the compiler of a second one with another level.
ifneq ($(filter -O1 -O2 -O3 -Os,$(CXXFLAGS)),)
ifeq ($(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CXXFLAGS)),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
endif
override CXXFLAGS := $(HARDENING) -Wformat -Werror=format-security $(CXXFLAGS)
ifeq ($(PORTNAME),linux)
override LDFLAGS := -Wl,-z,relro -Wl,-z,now $(LDFLAGS)
endif
else
all install installcheck:
	@echo "PostgreSQL's build files are missing: install postgresql-server-dev-NN, or set PG_CONFIG" >&2; exit 1
endif

$(OBJS): $(wildcard extension/*.h common/*.h) $(EXTENSION).control

gateway:
	cmake -S gateway -B build/gateway -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPRECOMPILE=ON
	cmake --build build/gateway --target odoo-bus-gateway
	ln -sf gateway/odoo-bus-gateway build/odoo-bus-gateway

client:
	build/client/node_modules/.bin/rollup --silent --config client/rollup.config.mjs

demo:
	deploy/install-dependencies demo
	test/demo

screenshots:
	deploy/install-dependencies
	DEMO_SCREENSHOTS="$(CURDIR)/docs/demo" test/run browser

test:
	deploy/install-dependencies
	test/run

test-all:
	deploy/install-dependencies all
	test/run all

test-matrix:
	test/matrix/run
	test/matrix/upgrade

test-odoo:
	deploy/install-dependencies odoo
	ODOO_HOME="$(ODOO_HOME)" test/odoo/run

bench:
	deploy/install-dependencies bench
	bench/run

DISTVERSION = $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' META.json)
dist:
	mkdir -p build
	git archive --format=zip --prefix=odoo_bus-$(DISTVERSION)/ -o build/odoo_bus-$(DISTVERSION).zip HEAD

sbom: gateway odoo_bus.so
	deploy/sbom build/odoo-bus-gateway odoo_bus.so >build/odoo_bus.cdx.json

site:
	deploy/install-dependencies site
	deploy/build-site

deb:
	deploy/build-packages

images:
	deploy/build-images

.PHONY: gateway client demo screenshots test test-all test-matrix test-odoo bench dist sbom site deb images
