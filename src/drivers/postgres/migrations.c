/* The tables, version by version. A migration is never changed once it has been released: a new one is added at the end.
 *
 * All names are without schema: search_path decides. Keys are bytea, which PostgreSQL orders bytewise. expires_at is judged by the
 * proxy's clock, given as a parameter, as on every other backend, and by the time that the lock of the row was waited for. Functions
 * do in one round trip, under the lock of the row, what looks before it writes. Each of their statements sees what has been committed
 * before it: a row that the first one did not find may be there for the second, which must not touch it then. */
#include "drivers/postgres/migrations.h"

#include <stddef.h>

/* The shape of expected is enum kv_expect: 0 anything, 1 absent, 2 version, 3 value. */
static const char version_1[] =
    "CREATE TABLE namespaces ("
    " id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text NOT NULL UNIQUE,"
    " created_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE items ("
    " namespace int4 NOT NULL,"
    " key bytea NOT NULL,"
    " value bytea NOT NULL,"
    " version bytea NOT NULL,"
    " expires_at timestamptz,"
    " tags bytea,"
    " PRIMARY KEY (namespace, key)) WITH (fillfactor = 90);"
    "CREATE INDEX items_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;"
    "CREATE TABLE answers ("
    " namespace int4 NOT NULL,"
    " key bytea NOT NULL,"
    " fingerprint int8 NOT NULL,"
    " response bytea NOT NULL,"
    " expires_at timestamptz NOT NULL,"
    " PRIMARY KEY (namespace, key));"
    "CREATE INDEX answers_expiry ON answers (expires_at);"

    "CREATE FUNCTION kv_write(ns int4, k bytea, v bytea, ver bytea, expires timestamptz, tg bytea, at timestamptz,"
    "                         what int2, expected bytea,"
    "                         OUT done bool, OUT present bool, OUT current_version bytea, OUT current_value bytea)"
    " LANGUAGE plpgsql AS $$"
    " DECLARE r record;"
    " BEGIN"
    "  LOOP"
    "   SELECT i.value, i.version, i.expires_at INTO r FROM items i WHERE i.namespace = ns AND i.key = k FOR UPDATE;"
    "   IF FOUND THEN"
    "    present := r.expires_at IS NULL OR r.expires_at > at + (clock_timestamp() - statement_timestamp());"
    "    done := CASE what WHEN 0 THEN true WHEN 1 THEN NOT present WHEN 2 THEN present AND r.version = expected"
    "            ELSE present AND r.value = expected END;"
    "    IF done THEN"
    "     UPDATE items i SET value = v, version = ver, expires_at = expires, tags = tg WHERE i.namespace = ns AND "
    "i.key = k;"
    "    ELSIF present THEN"
    "     current_version := r.version; current_value := r.value;"
    "    END IF;"
    "    RETURN;"
    "   END IF;"
    "   present := false; done := what < 2;"
    "   IF NOT done THEN RETURN; END IF;"
    "   INSERT INTO items VALUES (ns, k, v, ver, expires, tg) ON CONFLICT DO NOTHING;"
    "   IF FOUND THEN RETURN; END IF;"
    "  END LOOP;"
    " END $$;"

    "CREATE FUNCTION kv_write_many(ns int4, ks bytea[], vs bytea[], vers bytea[], expires timestamptz[], tgs bytea[],"
    "                              at timestamptz, whats int2[], expecteds bytea[])"
    " RETURNS TABLE (done bool, current_version bytea)"
    " LANGUAGE plpgsql AS $$"
    " DECLARE r record;"
    " BEGIN"
    "  PERFORM 1 FROM items i WHERE i.namespace = ns AND i.key = ANY (ks) ORDER BY i.key FOR UPDATE;"
    "  FOR n IN 1 .. cardinality(ks) LOOP"
    "   SELECT * INTO r FROM kv_write(ns, ks[n], vs[n], vers[n], expires[n], tgs[n], at, whats[n], expecteds[n]);"
    "   done := r.done; current_version := r.current_version;"
    "   RETURN NEXT;"
    "  END LOOP;"
    " END $$;"

    "CREATE FUNCTION kv_delete(ns int4, k bytea, at timestamptz, what int2, expected bytea,"
    "                          OUT done bool, OUT present bool, OUT current_version bytea)"
    " LANGUAGE plpgsql AS $$"
    " DECLARE r record; locked bool;"
    " BEGIN"
    "  SELECT i.value, i.version, i.expires_at INTO r FROM items i WHERE i.namespace = ns AND i.key = k FOR UPDATE;"
    "  locked := FOUND;" /* a row that comes now is of a later write: another statement sees it, and may not touch it */
    "  present := locked AND (r.expires_at IS NULL OR r.expires_at > at + (clock_timestamp() - statement_timestamp()));"
    "  done := CASE what WHEN 0 THEN true WHEN 1 THEN NOT present WHEN 2 THEN present AND r.version = expected"
    "          ELSE present AND r.value = expected END;"
    "  IF done AND locked THEN DELETE FROM items i WHERE i.namespace = ns AND i.key = k;"
    "  ELSIF present THEN current_version := r.version; END IF;"
    " END $$;"

    "CREATE FUNCTION kv_persist(ns int4, k bytea, at timestamptz, OUT present bool, OUT removed bool)"
    " LANGUAGE plpgsql AS $$"
    " DECLARE r record;"
    " BEGIN"
    "  SELECT i.expires_at INTO r FROM items i WHERE i.namespace = ns AND i.key = k FOR UPDATE;"
    "  present := FOUND AND (r.expires_at IS NULL OR r.expires_at > at + (clock_timestamp() - statement_timestamp()));"
    "  removed := present AND r.expires_at IS NOT NULL;"
    "  IF removed THEN UPDATE items i SET expires_at = NULL WHERE i.namespace = ns AND i.key = k; END IF;"
    " END $$;";

static const char *const first[] = {version_1, NULL};

const char *const *const postgres_migrations[] = {first, postgres_version_2};
const int postgres_schema_version = sizeof postgres_migrations / sizeof *postgres_migrations;
