/* Version 2: lists, sets, sorted sets and counters.
 *
 * A row of collections is one list, set or sorted set: its lock is the collection's, its size is kept there, and it goes with the last
 * item. Values of a list have positions with gaps between them, so that most insertions move nothing; where two positions touch,
 * the list is numbered anew. Functions that change take the row's lock first; functions that read are STABLE: one snapshot for all
 * that they look at. What is answered beside rows stands in a first row. Models: 1 list, 2 set, 3 sorted set. */
#include "drivers/postgres/migrations.h"

#include <stddef.h>

#define GAP "1048576"
#define FUNCTION(declaration, kind, body) "CREATE FUNCTION " declaration " LANGUAGE plpgsql " kind " AS $$ " body " $$;"
#define CHANGES "VOLATILE"
#define READS "STABLE"

static const char tables[] =
    "CREATE TABLE collections ("
    " id int8 GENERATED ALWAYS AS IDENTITY,"
    " namespace int4 NOT NULL, model int2 NOT NULL, key bytea NOT NULL,"
    " size int8 NOT NULL,"
    " PRIMARY KEY (namespace, model, key)) WITH (fillfactor = 80);"
    "CREATE TABLE list_values (collection int8 NOT NULL, position int8 NOT NULL, value bytea NOT NULL,"
    " PRIMARY KEY (collection, position));"
    "CREATE TABLE set_members (collection int8 NOT NULL, member bytea NOT NULL, PRIMARY KEY (collection, member));"
    "CREATE TABLE sorted_members (collection int8 NOT NULL, member bytea NOT NULL, score float8 NOT NULL,"
    " PRIMARY KEY (collection, member));"
    "CREATE UNIQUE INDEX sorted_order ON sorted_members (collection, score, member);"
    "CREATE TABLE counters (namespace int4 NOT NULL, key bytea NOT NULL, value int8 NOT NULL,"
    " PRIMARY KEY (namespace, key)) WITH (fillfactor = 80);";

/* Its row, locked; o_id NULL: there is none, and p_make was false. */
static const char common[] = FUNCTION(
    "coll_lock(p_ns int4, p_model int2, p_key bytea, p_make bool, OUT o_id int8, OUT o_size int8)", CHANGES,
    "BEGIN LOOP"
    " SELECT c.id, c.size INTO o_id, o_size FROM collections c"
    "  WHERE c.namespace = p_ns AND c.model = p_model AND c.key = p_key FOR UPDATE;"
    " IF FOUND OR NOT p_make THEN RETURN; END IF;"
    " INSERT INTO collections (namespace, model, key, size) VALUES (p_ns, p_model, p_key, 0) ON CONFLICT DO NOTHING;"
    "END LOOP; END")
    FUNCTION("coll_resize(p_ns int4, p_model int2, p_key bytea, p_size int8) RETURNS void", CHANGES,
             "BEGIN IF p_size = 0 THEN"
             " DELETE FROM collections c WHERE c.namespace = p_ns AND c.model = p_model AND c.key = p_key;"
             " ELSE"
             " UPDATE collections c SET size = p_size WHERE c.namespace = p_ns AND c.model = p_model AND c.key = p_key;"
             " END IF; END")
        FUNCTION("coll_find(p_ns int4, p_model int2, p_key bytea, OUT o_id int8, OUT o_size int8)", READS,
                 "BEGIN SELECT c.id, c.size INTO o_id, o_size FROM collections c"
                 "  WHERE c.namespace = p_ns AND c.model = p_model AND c.key = p_key;"
                 " o_size := coalesce(o_size, 0); END")
            FUNCTION("coll_clear(p_ns int4, p_model int2, p_key bytea, OUT o_removed int8)", CHANGES,
                     "DECLARE c record; BEGIN"
                     " SELECT * INTO c FROM coll_lock(p_ns, p_model, p_key, false);"
                     " o_removed := coalesce(c.o_size, 0);"
                     " IF c.o_id IS NULL THEN RETURN; END IF;"
                     " CASE p_model WHEN 1 THEN DELETE FROM list_values WHERE collection = c.o_id;"
                     "  WHEN 2 THEN DELETE FROM set_members WHERE collection = c.o_id;"
                     "  ELSE DELETE FROM sorted_members WHERE collection = c.o_id; END CASE;"
                     " PERFORM coll_resize(p_ns, p_model, p_key, 0); END");

/* --- lists --------------------------------------------------------------------------------------------------------------------- */

static const char lists[] =
    /* The position of an index that is there, counted from the nearer end. */
    FUNCTION(
        "list_position(p_id int8, p_size int8, p_index int8) RETURNS int8", READS,
        "BEGIN IF p_index < p_size / 2 THEN"
        " RETURN (SELECT position FROM list_values WHERE collection = p_id ORDER BY position LIMIT 1 OFFSET p_index);"
        " END IF;"
        " RETURN (SELECT position FROM list_values WHERE collection = p_id ORDER BY position DESC LIMIT 1"
        "  OFFSET p_size - 1 - p_index); END")
        FUNCTION(
            "list_push(p_ns int4, p_key bytea, p_left bool, p_values bytea[], p_most int8, OUT o_pushed bool, OUT "
            "o_size int8)",
            CHANGES,
            "DECLARE c record; edge int8; n int8 := cardinality(p_values); BEGIN"
            " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, true);"
            " o_size := c.o_size; o_pushed := c.o_size + n <= p_most;"
            " IF NOT o_pushed THEN RETURN; END IF;"
            " IF p_left THEN SELECT min(position) INTO edge FROM list_values WHERE collection = c.o_id;"
            " ELSE SELECT max(position) INTO edge FROM list_values WHERE collection = c.o_id; END IF;"
            " INSERT INTO list_values SELECT c.o_id, coalesce(edge, 0) + CASE WHEN p_left THEN -i ELSE i END * " GAP
            ", v"
            "  FROM unnest(p_values) WITH ORDINALITY u(v, i);"
            " o_size := c.o_size + n;"
            " PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END")
    /* At most p_count values, and, once there is one, no more than p_bytes. */
    FUNCTION(
        "list_pop(p_ns int4, p_key bytea, p_left bool, p_count int8, p_bytes int8)"
        " RETURNS TABLE (o_value bytea, o_size int8)",
        CHANGES,
        "DECLARE c record; way int8 := CASE WHEN p_left THEN 1 ELSE -1 END; places int8[]; BEGIN"
        " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, false);"
        " IF c.o_id IS NULL THEN RETURN; END IF;"
        " IF p_left THEN SELECT array_agg(q.position) INTO places FROM (SELECT f.position, row_number() OVER w AS n,"
        "   sum(octet_length(f.value)) OVER w AS total FROM (SELECT l.position, l.value FROM list_values l"
        "    WHERE l.collection = c.o_id ORDER BY l.position LIMIT p_count) f"
        "   WINDOW w AS (ORDER BY f.position ROWS UNBOUNDED PRECEDING)) q WHERE q.n = 1 OR q.total <= p_bytes;"
        " ELSE SELECT array_agg(q.position) INTO places FROM (SELECT f.position, row_number() OVER w AS n,"
        "   sum(octet_length(f.value)) OVER w AS total FROM (SELECT l.position, l.value FROM list_values l"
        "    WHERE l.collection = c.o_id ORDER BY l.position DESC LIMIT p_count) f"
        "   WINDOW w AS (ORDER BY f.position DESC ROWS UNBOUNDED PRECEDING)) q WHERE q.n = 1 OR q.total <= p_bytes;"
        " END IF;"
        " o_size := c.o_size - cardinality(places);"
        " RETURN QUERY WITH gone AS (DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position = ANY "
        "(places)"
        "  RETURNING l.position, l.value) SELECT g.value, o_size FROM gone g ORDER BY g.position * way;"
        " PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END")
        FUNCTION("list_get(p_ns int4, p_key bytea, p_index int8) RETURNS TABLE (o_value bytea)", READS,
                 "DECLARE c record; i int8 := p_index; BEGIN"
                 " SELECT * INTO c FROM coll_find(p_ns, 1::int2, p_key);"
                 " IF i < 0 THEN i := i + c.o_size; END IF;"
                 " IF c.o_id IS NULL OR i < 0 OR i >= c.o_size THEN RETURN; END IF;"
                 " RETURN QUERY SELECT l.value FROM list_values l WHERE l.collection = c.o_id"
                 "  AND l.position = list_position(c.o_id, c.o_size, i); END")
    /* First row: size. Then values from p_start on, no more than p_rows and, once p_bytes are reached, none. */
    FUNCTION(
        "list_range(p_ns int4, p_key bytea, p_start int8, p_end int8, p_rows int8, p_bytes int8)"
        " RETURNS TABLE (o_value bytea, o_size int8)",
        READS,
        "DECLARE c record; a int8; z int8; BEGIN"
        " SELECT * INTO c FROM coll_find(p_ns, 1::int2, p_key);"
        " o_size := c.o_size; RETURN NEXT;"
        " a := greatest(CASE WHEN p_start < 0 THEN p_start + c.o_size ELSE p_start END, 0);"
        " z := least(CASE WHEN p_end < 0 THEN p_end + c.o_size ELSE p_end END, c.o_size - 1);"
        " IF a > z THEN RETURN; END IF;"
        " RETURN QUERY SELECT q.value, c.o_size FROM (SELECT p.value, p.position,"
        "   sum(octet_length(p.value)) OVER (ORDER BY p.position ROWS UNBOUNDED PRECEDING) - octet_length(p.value) AS "
        "before"
        "  FROM (SELECT l.value, l.position FROM list_values l WHERE l.collection = c.o_id"
        "   AND l.position >= list_position(c.o_id, c.o_size, a)"
        "   ORDER BY l.position LIMIT least(z - a + 1, p_rows)) p) q WHERE q.before < p_bytes ORDER BY q.position; END")
        FUNCTION("list_set(p_ns int4, p_key bytea, p_index int8, p_value bytea, OUT o_done bool, OUT o_size int8)",
                 CHANGES,
                 "DECLARE c record; i int8 := p_index; BEGIN"
                 " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, false);"
                 " o_size := coalesce(c.o_size, 0);"
                 " IF i < 0 THEN i := i + o_size; END IF;"
                 " o_done := i >= 0 AND i < o_size;"
                 " IF o_done THEN UPDATE list_values l SET value = p_value WHERE l.collection = c.o_id"
                 "  AND l.position = list_position(c.o_id, c.o_size, i); END IF; END")
            FUNCTION("list_renumber(p_id int8) RETURNS void", CHANGES,
                     "BEGIN WITH old AS (DELETE FROM list_values WHERE collection = p_id RETURNING position, value)"
                     " INSERT INTO list_values SELECT p_id, row_number() OVER (ORDER BY position) * " GAP
                     ", value FROM old; END")
    /* The position between two neighbours; NULL: there is none. */
    FUNCTION("list_between(p_id int8, p_size int8, p_index int8) RETURNS int8", CHANGES,
             "DECLARE a int8; b int8; BEGIN"
             " IF p_index > 0 THEN a := list_position(p_id, p_size, p_index - 1); END IF;"
             " IF p_index < p_size THEN b := list_position(p_id, p_size, p_index); END IF;"
             " RETURN CASE WHEN a IS NULL AND b IS NULL THEN 0 WHEN a IS NULL THEN b - " GAP
             "  WHEN b IS NULL THEN a + " GAP " WHEN b - a > 1 THEN a + (b - a) / 2 END; END")
        FUNCTION("list_insert(p_ns int4, p_key bytea, p_index int8, p_value bytea, p_most int8, OUT o_done bool, OUT "
                 "o_size int8)",
                 CHANGES,
                 "DECLARE c record; i int8 := p_index; at int8; BEGIN"
                 " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, p_index = 0);"
                 " o_size := coalesce(c.o_size, 0);"
                 " IF i < 0 THEN i := i + o_size; END IF;"
                 " o_done := i >= 0 AND i <= o_size AND o_size < p_most AND c.o_id IS NOT NULL;"
                 " IF NOT o_done THEN RETURN; END IF;"
                 " at := list_between(c.o_id, o_size, i);"
                 " IF at IS NULL THEN PERFORM list_renumber(c.o_id); at := list_between(c.o_id, o_size, i); END IF;"
                 " INSERT INTO list_values VALUES (c.o_id, at, p_value);"
                 " o_size := o_size + 1;"
                 " PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END")
            FUNCTION("list_remove_at(p_ns int4, p_key bytea, p_index int8, OUT o_removed int8, OUT o_size int8, OUT "
                     "o_value bytea)",
                     CHANGES,
                     "DECLARE c record; i int8 := p_index; BEGIN"
                     " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, false);"
                     " o_size := coalesce(c.o_size, 0); o_removed := 0;"
                     " IF i < 0 THEN i := i + o_size; END IF;"
                     " IF i < 0 OR i >= o_size THEN RETURN; END IF;"
                     " DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position = list_position(c.o_id, "
                     "c.o_size, i)"
                     "  RETURNING l.value INTO o_value;"
                     " o_removed := 1; o_size := o_size - 1;"
                     " PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END")
                FUNCTION("list_remove(p_ns int4, p_key bytea, p_value bytea, p_most int8, p_from_last bool, OUT "
                         "o_removed int8, OUT o_size int8)",
                         CHANGES,
                         "DECLARE c record; BEGIN"
                         " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, false);"
                         " o_size := coalesce(c.o_size, 0); o_removed := 0;"
                         " IF c.o_id IS NULL THEN RETURN; END IF;"
                         " IF p_from_last THEN"
                         "  DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position = ANY (ARRAY(SELECT "
                         "f.position FROM list_values f"
                         "   WHERE f.collection = c.o_id AND f.value = p_value ORDER BY f.position DESC LIMIT p_most));"
                         " ELSE"
                         "  DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position = ANY (ARRAY(SELECT "
                         "f.position FROM list_values f"
                         "   WHERE f.collection = c.o_id AND f.value = p_value ORDER BY f.position LIMIT p_most));"
                         " END IF;"
                         " GET DIAGNOSTICS o_removed = ROW_COUNT;"
                         " o_size := o_size - o_removed;"
                         " IF o_removed > 0 THEN PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END IF; END")
                    FUNCTION("list_trim(p_ns int4, p_key bytea, p_start int8, p_end int8, OUT o_removed int8, OUT "
                             "o_size int8)",
                             CHANGES,
                             "DECLARE c record; a int8; z int8; first int8; last int8; BEGIN"
                             " SELECT * INTO c FROM coll_lock(p_ns, 1::int2, p_key, false);"
                             " o_size := coalesce(c.o_size, 0); o_removed := 0;"
                             " IF c.o_id IS NULL THEN RETURN; END IF;"
                             " a := greatest(CASE WHEN p_start < 0 THEN p_start + c.o_size ELSE p_start END, 0);"
                             " z := least(CASE WHEN p_end < 0 THEN p_end + c.o_size ELSE p_end END, c.o_size - 1);"
                             " IF a > z THEN o_removed := o_size; o_size := 0; PERFORM coll_clear(p_ns, 1::int2, "
                             "p_key); RETURN; END IF;"
                             " first := list_position(c.o_id, c.o_size, a); last := list_position(c.o_id, c.o_size, z);"
                             " DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position < first;"
                             " DELETE FROM list_values l WHERE l.collection = c.o_id AND l.position > last;"
                             " o_size := z - a + 1; o_removed := c.o_size - o_size;"
                             " PERFORM coll_resize(p_ns, 1::int2, p_key, o_size); END");

/* --- sets ---------------------------------------------------------------------------------------------------------------------- */

static const char sets[] =
    FUNCTION("set_add(p_ns int4, p_key bytea, p_members bytea[], OUT o_added int8)", CHANGES,
             "DECLARE c record; BEGIN"
             " SELECT * INTO c FROM coll_lock(p_ns, 2::int2, p_key, true);"
             " INSERT INTO set_members SELECT c.o_id, m FROM unnest(p_members) u(m) ON CONFLICT DO NOTHING;"
             " GET DIAGNOSTICS o_added = ROW_COUNT;"
             " IF o_added > 0 THEN PERFORM coll_resize(p_ns, 2::int2, p_key, c.o_size + o_added); END IF; END")
        FUNCTION("set_remove(p_ns int4, p_key bytea, p_members bytea[], OUT o_removed int8)", CHANGES,
                 "DECLARE c record; BEGIN"
                 " SELECT * INTO c FROM coll_lock(p_ns, 2::int2, p_key, false);"
                 " DELETE FROM set_members s WHERE s.collection = c.o_id AND s.member = ANY (p_members);"
                 " GET DIAGNOSTICS o_removed = ROW_COUNT;"
                 " IF o_removed > 0 THEN PERFORM coll_resize(p_ns, 2::int2, p_key, c.o_size - o_removed); END IF; END")
    /* Members behind p_after in order. A row that is not taken says how far has been looked. p_operator: 0 union, 1 intersection,
     * 2 difference. */
    FUNCTION(
        "set_walk(p_ns int4, p_keys bytea[], p_operator int2, p_after bytea, p_rows int8, p_looks int8)"
        " RETURNS TABLE (o_member bytea, o_taken bool)",
        READS,
        "DECLARE ids int8[]; base int8; missing bool; BEGIN"
        " SELECT array_agg(c.id ORDER BY c.size), bool_or(c.id IS NULL) INTO ids, missing"
        "  FROM unnest(p_keys) k(key) LEFT JOIN collections c ON c.namespace = p_ns AND c.model = 2 AND c.key = k.key;"
        " IF p_operator = 0 THEN"
        "  RETURN QUERY SELECT DISTINCT m.member, true FROM unnest(ids) i(id) CROSS JOIN LATERAL (SELECT s.member"
        "   FROM set_members s WHERE s.collection = i.id AND s.member > p_after ORDER BY s.member LIMIT p_rows) m"
        "   ORDER BY m.member LIMIT p_rows;"
        "  RETURN;"
        " END IF;"
        " IF p_operator = 1 AND missing THEN RETURN; END IF;"
        " IF p_operator = 1 THEN base := ids[1];"
        " ELSE SELECT c.id INTO base FROM collections c WHERE c.namespace = p_ns AND c.model = 2 AND c.key = p_keys[1];"
        "  ids := ARRAY(SELECT c.id FROM unnest(p_keys) WITH ORDINALITY k(key, n) JOIN collections c ON c.namespace = "
        "p_ns"
        "   AND c.model = 2 AND c.key = k.key WHERE k.n > 1);"
        " END IF;"
        " RETURN QUERY SELECT q.member, q.taken FROM (SELECT s.member, s.n, CASE p_operator WHEN 1 THEN NOT EXISTS ("
        "   SELECT 1 FROM unnest(ids) i(id) WHERE NOT EXISTS (SELECT 1 FROM set_members x WHERE x.collection = i.id"
        "    AND x.member = s.member)) ELSE NOT EXISTS (SELECT 1 FROM unnest(ids) i(id) JOIN set_members x"
        "    ON x.collection = i.id AND x.member = s.member) END AS taken"
        "   FROM (SELECT b.member, row_number() OVER (ORDER BY b.member) AS n FROM set_members b WHERE b.collection = "
        "base"
        "    AND b.member > p_after ORDER BY b.member LIMIT p_looks) s) q WHERE q.taken OR q.n = p_looks"
        "   ORDER BY q.member LIMIT p_rows; END")
        FUNCTION("set_pop(p_ns int4, p_key bytea, p_count int8) RETURNS TABLE (o_member bytea, o_size int8)", CHANGES,
                 "DECLARE c record; BEGIN"
                 " SELECT * INTO c FROM coll_lock(p_ns, 2::int2, p_key, false);"
                 " IF c.o_id IS NULL THEN RETURN; END IF;"
                 " o_size := greatest(c.o_size - p_count, 0);"
                 " RETURN QUERY WITH gone AS (DELETE FROM set_members s WHERE s.collection = c.o_id AND s.member = ANY "
                 "(ARRAY("
                 "  SELECT f.member FROM set_members f WHERE f.collection = c.o_id ORDER BY random() LIMIT p_count)) "
                 "RETURNING s.member)"
                 "  SELECT g.member, o_size FROM gone g;"
                 " PERFORM coll_resize(p_ns, 2::int2, p_key, o_size); END");

/* --- sorted sets --------------------------------------------------------------------------------------------------------------- */

static const char sorted_sets[] = FUNCTION(
    "sorted_add(p_ns int4, p_key bytea, p_members bytea[], p_scores float8[], OUT o_added int8, OUT o_updated int8)",
    CHANGES,
    "DECLARE c record; BEGIN"
    " SELECT * INTO c FROM coll_lock(p_ns, 3::int2, p_key, true);"
    " WITH put AS (INSERT INTO sorted_members AS s SELECT c.o_id, d.m, d.r FROM (SELECT DISTINCT ON (m) m, r"
    "   FROM unnest(p_members, p_scores) WITH ORDINALITY u(m, r, n) ORDER BY m, n DESC) d"
    "  ON CONFLICT (collection, member) DO UPDATE SET score = excluded.score WHERE s.score <> excluded.score"
    "  RETURNING xmax = 0 AS fresh)"
    " SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) INTO o_added, o_updated FROM put;"
    " IF o_added > 0 THEN PERFORM coll_resize(p_ns, 3::int2, p_key, c.o_size + o_added); END IF; END")
    FUNCTION("sorted_remove(p_ns int4, p_key bytea, p_members bytea[], OUT o_removed int8)", CHANGES,
             "DECLARE c record; BEGIN"
             " SELECT * INTO c FROM coll_lock(p_ns, 3::int2, p_key, false);"
             " DELETE FROM sorted_members s WHERE s.collection = c.o_id AND s.member = ANY (p_members);"
             " GET DIAGNOSTICS o_removed = ROW_COUNT;"
             " IF o_removed > 0 THEN PERFORM coll_resize(p_ns, 3::int2, p_key, c.o_size - o_removed); END IF; END")
        FUNCTION(
            "sorted_rank(p_ns int4, p_key bytea, p_member bytea, p_reverse bool) RETURNS TABLE (o_rank int8, o_score "
            "float8)",
            READS,
            "DECLARE c record; BEGIN"
            " SELECT * INTO c FROM coll_find(p_ns, 3::int2, p_key);"
            " SELECT s.score INTO o_score FROM sorted_members s WHERE s.collection = c.o_id AND s.member = p_member;"
            " IF NOT FOUND THEN RETURN; END IF;"
            " SELECT count(*) INTO o_rank FROM sorted_members s WHERE s.collection = c.o_id"
            "  AND (s.score, s.member) < (o_score, p_member);"
            " IF p_reverse THEN o_rank := c.o_size - 1 - o_rank; END IF;"
            " RETURN NEXT; END")
    /* First row: size. */
    FUNCTION("sorted_range(p_ns int4, p_key bytea, p_start int8, p_end int8, p_reverse bool, p_rows int8)"
             " RETURNS TABLE (o_score float8, o_member bytea, o_size int8)",
             READS,
             "DECLARE c record; a int8; z int8; BEGIN"
             " SELECT * INTO c FROM coll_find(p_ns, 3::int2, p_key);"
             " o_size := c.o_size; RETURN NEXT;"
             " a := greatest(CASE WHEN p_start < 0 THEN p_start + c.o_size ELSE p_start END, 0);"
             " z := least(CASE WHEN p_end < 0 THEN p_end + c.o_size ELSE p_end END, c.o_size - 1);"
             " IF a > z THEN RETURN; END IF;"
             " IF p_reverse THEN RETURN QUERY SELECT s.score, s.member, c.o_size FROM sorted_members s WHERE "
             "s.collection = c.o_id"
             "  ORDER BY s.score DESC, s.member DESC LIMIT least(z - a + 1, p_rows) OFFSET a;"
             " ELSE RETURN QUERY SELECT s.score, s.member, c.o_size FROM sorted_members s WHERE s.collection = c.o_id"
             "  ORDER BY s.score, s.member LIMIT least(z - a + 1, p_rows) OFFSET a; END IF; END")
    /* Members behind a place, up to a score. */
    FUNCTION(
        "sorted_walk(p_ns int4, p_key bytea, p_score float8, p_member bytea, p_last float8, p_reverse bool, p_rows "
        "int8)"
        " RETURNS TABLE (o_score float8, o_member bytea)",
        READS,
        "DECLARE c record; BEGIN"
        " SELECT * INTO c FROM coll_find(p_ns, 3::int2, p_key);"
        " IF p_reverse THEN RETURN QUERY SELECT s.score, s.member FROM sorted_members s WHERE s.collection = c.o_id"
        "  AND (s.score, s.member) < (p_score, p_member) AND s.score >= p_last"
        "  ORDER BY s.score DESC, s.member DESC LIMIT p_rows;"
        " ELSE RETURN QUERY SELECT s.score, s.member FROM sorted_members s WHERE s.collection = c.o_id"
        "  AND (s.score, s.member) > (p_score, p_member) AND s.score <= p_last"
        "  ORDER BY s.score, s.member LIMIT p_rows; END IF; END")
    /* First row: lowest and highest score, as o_score and o_highest. Then members from one on, itself included. */
    FUNCTION(
        "sorted_lex(p_ns int4, p_key bytea, p_member bytea, p_reverse bool, p_rows int8)"
        " RETURNS TABLE (o_score float8, o_member bytea, o_highest float8)",
        READS,
        "DECLARE c record; BEGIN"
        " SELECT * INTO c FROM coll_find(p_ns, 3::int2, p_key);"
        " SELECT min(s.score), max(s.score) INTO o_score, o_highest FROM sorted_members s WHERE s.collection = c.o_id;"
        " IF o_score IS NULL THEN RETURN; END IF;"
        " RETURN NEXT;"
        " IF o_score <> o_highest THEN RETURN; END IF;"
        " IF p_reverse THEN RETURN QUERY SELECT s.score, s.member, s.score FROM sorted_members s WHERE s.collection = "
        "c.o_id"
        "  AND s.member <= p_member ORDER BY s.member DESC LIMIT p_rows;"
        " ELSE RETURN QUERY SELECT s.score, s.member, s.score FROM sorted_members s WHERE s.collection = c.o_id"
        "  AND s.member >= p_member ORDER BY s.member LIMIT p_rows; END IF; END")
    /* First row: o_n NULL, and in o_size how many members have to be looked at; above p_most there are no more rows. Then each member with
     * the number of its sorted set, from 1, by members; of an intersection only those that all have. */
    FUNCTION(
        "sorted_join(p_ns int4, p_keys bytea[], p_intersection bool, p_most int8)"
        " RETURNS TABLE (o_n int8, o_score float8, o_member bytea, o_size int8)",
        READS,
        "DECLARE ids int8[]; base int8; missing bool; BEGIN"
        " SELECT array_agg(c.id ORDER BY k.n), bool_or(c.id IS NULL),"
        "  CASE WHEN p_intersection THEN min(coalesce(c.size, 0)) ELSE sum(coalesce(c.size, 0)) END,"
        "  (array_agg(c.id ORDER BY c.size))[1] INTO ids, missing, o_size, base"
        "  FROM unnest(p_keys) WITH ORDINALITY k(key, n) LEFT JOIN collections c ON c.namespace = p_ns AND c.model = 3"
        "   AND c.key = k.key;"
        " RETURN NEXT;"
        " IF o_size > p_most OR (p_intersection AND missing) THEN RETURN; END IF;"
        " IF p_intersection THEN"
        "  RETURN QUERY SELECT i.n, x.score, b.member, 0::int8 FROM (SELECT s.member FROM sorted_members s"
        "   WHERE s.collection = base AND NOT EXISTS (SELECT 1 FROM unnest(ids) j(id) WHERE NOT EXISTS (SELECT 1"
        "    FROM sorted_members y WHERE y.collection = j.id AND y.member = s.member))) b"
        "   CROSS JOIN unnest(ids) WITH ORDINALITY i(id, n)"
        "   JOIN sorted_members x ON x.collection = i.id AND x.member = b.member ORDER BY b.member, i.n;"
        " ELSE"
        "  RETURN QUERY SELECT i.n, s.score, s.member, 0::int8 FROM unnest(ids) WITH ORDINALITY i(id, n)"
        "   JOIN sorted_members s ON s.collection = i.id ORDER BY s.member, i.n;"
        " END IF; END");

/* --- counters ------------------------------------------------------------------------------------------------------------------ */

/* o_done false: the sum would not fit; o_value is what is there. */
static const char counters[] =
    FUNCTION("counter_add(p_ns int4, p_key bytea, p_delta int8, OUT o_done bool, OUT o_value int8)", CHANGES,
             "BEGIN LOOP"
             " SELECT c.value INTO o_value FROM counters c WHERE c.namespace = p_ns AND c.key = p_key FOR UPDATE;"
             " IF FOUND THEN"
             "  o_done := CASE WHEN p_delta > 0 THEN o_value <= 9223372036854775807 - p_delta"
             "   ELSE o_value >= (-9223372036854775808)::int8 - p_delta END;"
             "  IF o_done THEN o_value := o_value + p_delta;"
             "   UPDATE counters c SET value = o_value WHERE c.namespace = p_ns AND c.key = p_key; END IF;"
             "  RETURN;"
             " END IF;"
             " INSERT INTO counters VALUES (p_ns, p_key, p_delta) ON CONFLICT DO NOTHING;"
             " IF FOUND THEN o_done := true; o_value := p_delta; RETURN; END IF;"
             " END LOOP; END");

const char *const postgres_version_2[] = {tables, common, lists, sets, sorted_sets, counters, NULL};
