/* The scripts (scripts.h), and the layout that they and layout.c share:
 *
 *   <root>             never exists            <root>:k:<key>   a value, packed (layout.h), with the server's own expiry
 *   <root>:i           all keys, in order      <root>:e         keys that expire, by when
 *   <root>:t           open snapshots          <root>:s         number of the last snapshot
 *   <root>:h:<key>     what the key was before its first change after a snapshot, by the snapshot's number; while one is open
 *   <root>:p           for a moment: may something be written?
 *   <root>:d:<name>    result of a call with an idempotency key          <root>:d:mark:<name>   which request has the key
 *
 * Invariants
 *   1. A key is in :i if its value is there; one that is in :i alone has expired, and is taken out by whoever meets it.
 *   2. A key that expires is in :e with that time; an entry whose time has come is swept, four a write.
 *   3. Whether something has expired is judged by the caller's clock, ARGV[1]; the server's own expiry only gives back memory.
 *   4. While snapshot n is open, the first change after it leaves what was there in :h under the last number of :s; so a value as of
 *      n is the one with the lowest number from n on, or what is there now. */
#include "drivers/redis/scripts.h"

#include <openssl/evp.h>
#include <stdio.h>

/* Begins every script but put. head: 29 bytes of a value that is there; '' where it is not. */
static const char prelude[] =
    "local root, index, now = KEYS[1], KEYS[2], tonumber(ARGV[1])\n"
    "local K, E, T, S, H, D = root..':k:', root..':e', root..':t', root..':s', root..':h:', root..':d:'\n"
    "local call, HEAD, LIFE = redis.call, 29, 300000\n"
    "local function expires(p) return (struct.unpack('>l', p, 18)) end\n"
    "local function alive(p) return p and #p >= HEAD and expires(p) > now end\n"
    "local function head(key) local p = call('GETRANGE', K..key, 0, HEAD - 1) return alive(p) and p end\n"
    "local function whole(key) local p = call('GET', K..key) return alive(p) and p end\n"
    "local function forget(key)\n"
    "  call('DEL', K..key) call('ZREM', index, key) call('ZREM', E, key)\n"
    "end\n"
    "local function sweep(most)\n"
    "  local old = call('ZRANGEBYSCORE', E, '-inf', now, 'LIMIT', 0, most)\n"
    "  for _, key in ipairs(old) do\n"
    "    if head(key) then call('ZREM', E, key) else forget(key) end\n"
    "  end\n"
    "  return #old\n"
    "end\n"
    /* Numbers of the oldest open snapshot and of the last one, where any is open; those whose time has passed are closed. The last one
     * may have been closed: a number that went back would put a later state before an earlier one. */
    "local oldest, newest\n"
    "local function look_at_snapshots()\n"
    "  local first = call('ZRANGE', T, 0, 0, 'WITHSCORES')\n"
    "  while first[1] and tonumber(string.match(first[1], ':(%d+)')) <= now do\n"
    "    call('ZREM', T, first[1])\n"
    "    first = call('ZRANGE', T, 0, 0, 'WITHSCORES')\n"
    "  end\n"
    "  oldest = first[1] and tonumber(first[2])\n"
    "  newest = first[1] and call('GET', S)\n"
    "end\n"
    "local function keep(key)\n"
    "  if not newest or call('HSETNX', H..key, newest, '') == 0 then return end\n"
    "  local p = whole(key)\n"
    "  if p then call('HSET', H..key, newest, p) end\n"
    "  call('PEXPIRE', H..key, LIFE)\n"
    "  if call('HLEN', H..key) > 8 then\n"
    "    for _, n in ipairs(call('HKEYS', H..key)) do\n"
    "      if tonumber(n) < oldest then call('HDEL', H..key, n) end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "local function store(key, p, ttl)\n"
    "  keep(key)\n"
    "  local new = call('EXISTS', K..key) == 0\n"
    "  local r = ttl == '' and redis.pcall('SET', K..key, p) or ttl ~= '' and redis.pcall('SET', K..key, p, 'PX', "
    "ttl)\n"
    "  if r.err then return r.err end\n"
    "  if new then call('ZADD', index, 0, key) end\n"
    "  if ttl ~= '' then call('ZADD', E, expires(p), key) end\n"
    "end\n"
    "local function remove(key)\n"
    "  local was = head(key)\n"
    "  if was then keep(key) end\n"
    "  forget(key)\n"
    "  return was and 1 or 0\n"
    "end\n"
    "local function set_expiry(key, stamp, ttl)\n"
    "  local was = head(key)\n"
    "  if not was then return {1, 0, 0} end\n"
    "  keep(key)\n"
    "  call('SETRANGE', K..key, 17, stamp)\n"
    "  if ttl == '' then call('PERSIST', K..key) call('ZREM', E, key)\n"
    "  else call('PEXPIRE', K..key, ttl) call('ZADD', E, (struct.unpack('>l', stamp)), key) end\n"
    "  return {1, 1, expires(was) < 9e18 and 1 or 0}\n"
    "end\n"
    /* The kept result of the call's idempotency key. Record: fingerprint (8), when it ends (8), result. */
    "local function replay(name)\n"
    "  local r = name ~= '' and call('GET', D..name)\n"
    "  if not r or (struct.unpack('>l', r, 9)) <= now then return end\n"
    "  return {string.sub(r, 1, 8), cmsgpack.unpack(string.sub(r, 17))}\n"
    "end\n"
    /* Refused, like any write, by a server that is out of memory: before anything is done. */
    "local function probe() call('SET', root..':p', '', 'PX', 1) end\n"
    "local function may_remember(name) if name ~= '' then probe() end end\n"
    "local function remember(name, fingerprint, stamp, ttl, result)\n"
    "  if name == '' then return end\n"
    "  call('SET', D..name, fingerprint..stamp..cmsgpack.pack(result), 'PX', ttl)\n"
    "end\n";

/* The short way of a Set that has no comparison and no idempotency key: what most writes are. It begins without the prelude, which
 * costs the server more than all of this. Its keys are the bucket's :t, which seldom exists, and the value's name, from which the rest is
 * cut; its ARGV packed, and where the value expires the time to live and when.
 * Answer: 1; or 0 and nothing was done, where snapshots are open or a new key expires (apply sweeps): the long way then. */
static const char put[] = "local name, packed = KEYS[2], ARGV[1]\n"
                          "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
                          "if ARGV[2] then\n"
                          "  if not redis.call('SET', name, packed, 'XX', 'PX', ARGV[2]) then return 0 end\n"
                          "  local root = string.sub(KEYS[1], 1, -2)\n"
                          "  redis.call('ZADD', root..'e', ARGV[3], string.sub(name, #root + 3))\n"
                          "elseif not redis.call('SET', name, packed, 'XX') then\n"
                          "  redis.call('SET', name, packed)\n"
                          "  local root = string.sub(KEYS[1], 1, -2)\n"
                          "  redis.call('ZADD', root..'i', 0, string.sub(name, #root + 3))\n"
                          "end\n"
                          "return 1\n";

static const char claim[] = "call('SET', root..':m', ARGV[2], 'NX')\n"
                            "return call('GET', root..':m')\n";

/* ARGV: now; name, fingerprint, end, time to live. A record without a result: of a namespace in several buckets, where the result is
 * in the bucket of the change, and a request with the same key may be for another one. */
static const char mark[] = "local r = call('GET', D..'mark:'..ARGV[2])\n"
                           "if r and (struct.unpack('>l', r, 9)) > now then return string.sub(r, 1, 8) end\n"
                           "call('SET', D..'mark:'..ARGV[2], ARGV[3]..ARGV[4], 'PX', ARGV[5])\n"
                           "return ARGV[3]\n";

/* ARGV: now; name, fingerprint, end and time to live of the idempotency record; 1: a comparison that fails is an answer like any
 * other (0: an error, not kept); then six a change: kind, key, comparison, bytes to compare, packed or expiry, time to live.
 * Answer: fingerprint of a kept result or '', and for each change {1, …} done, {0, what is there} comparison failed, {-1, why}. */
static const char apply[] = "local kept = replay(ARGV[2])\n"
                            "if kept then return kept end\n"
                            "may_remember(ARGV[2])\n"
                            "look_at_snapshots()\n"
                            "local function holds(kind, bytes, key, full)\n"
                            "  if kind == '' then return true end\n"
                            "  local p = (kind == 'value' or full) and whole(key) or head(key)\n"
                            "  if kind == 'absent' then return not p, p end\n"
                            "  if kind == 'version' then return p and string.sub(p, 2, 17) == bytes, p end\n"
                            "  return p and string.sub(p, HEAD + 1 + struct.unpack('>I4', p, 26)) == bytes, p\n"
                            "end\n"
                            "local results, failed = {}, false\n"
                            "for at = 7, #ARGV, 6 do\n"
                            "  local kind, key, result = ARGV[at], ARGV[at + 1]\n"
                            "  local ok, p = holds(ARGV[at + 2], ARGV[at + 3], key, kind == 'swap')\n"
                            "  if not ok then\n"
                            "    failed = ARGV[6] == '0'\n"
                            "    result = {0, p or ''}\n"
                            "  elseif kind == 'set' or kind == 'swap' then\n"
                            "    local why = store(key, ARGV[at + 4], ARGV[at + 5])\n"
                            "    failed = failed or why and ARGV[6] == '0'\n"
                            "    result = why and {-1, why} or {1, string.sub(ARGV[at + 4], 2, 17)}\n"
                            "  elseif kind == 'delete' then result = {1, remove(key)}\n"
                            "  else result = set_expiry(key, ARGV[at + 4], ARGV[at + 5]) end\n"
                            "  results[#results + 1] = result\n"
                            "end\n"
                            "sweep(4)\n"
                            "if not failed then remember(ARGV[2], ARGV[3], ARGV[4], ARGV[5], results) end\n"
                            "return {'', results}\n";

/* ARGV: now, bytes that the answer may take (the first that is there always fits), keys. */
static const char read_keys[] = "local left, results, found = tonumber(ARGV[2]), {}, false\n"
                                "for at = 3, #ARGV do\n"
                                "  local size = call('STRLEN', K..ARGV[at])\n"
                                "  if size > left and found then results[#results + 1] = head(ARGV[at]) and 0 or ''\n"
                                "  else\n"
                                "    local p = whole(ARGV[at])\n"
                                "    if p then left, found = left - size, true end\n"
                                "    results[#results + 1] = p or ''\n"
                                "  end\n"
                                "end\n"
                                "return results\n";

/* ARGV: now, lower bound, upper bound, 1: from the upper, keys to look at, bytes of values to answer, 1: keys alone.
 * Answer: 1 where there may be more, the last key that was looked at, then key, packed, key, packed… */
static const char scan[] =
    "local most, left, bare = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'\n"
    "local keys\n"
    "if ARGV[4] == '1' then keys = call('ZREVRANGEBYLEX', index, ARGV[3], ARGV[2], 'LIMIT', 0, most)\n"
    "else keys = call('ZRANGEBYLEX', index, ARGV[2], ARGV[3], 'LIMIT', 0, most) end\n"
    "local results = {#keys == most and 1 or 0, ''}\n"
    "for i, key in ipairs(keys) do\n"
    "  local p = bare and head(key) or not bare and whole(key)\n"
    "  results[2] = key\n"
    "  if p then\n"
    "    results[#results + 1] = key\n"
    "    results[#results + 1] = bare and '' or p\n"
    "    left = left - #key - (bare and 0 or #p)\n"
    "    if left <= 0 and i < #keys then results[1] = 1 break end\n"
    "  else forget(key) end\n"
    "end\n"
    "return results\n";

static const char count[] = "if sweep(1000) == 1000 then return -1 end\n"
                            "return call('ZLEXCOUNT', index, ARGV[2], ARGV[3])\n";

static const char begin[] = "for at = 3, #ARGV do call('ZREM', T, ARGV[at]) end\n"
                            "local number = call('INCR', S)\n"
                            "call('ZADD', T, number, string.format('%d:%s', number, ARGV[2]))\n"
                            "return number\n";

static const char end[] = "return call('ZREM', T, ARGV[2])\n";

/* ARGV: now, snapshot, its entry in :t, key, 1: its head alone. */
static const char peek[] = "if not call('ZSCORE', T, ARGV[3]) then return 0 end\n"
                           "local from, first, p = tonumber(ARGV[2])\n"
                           "for _, n in ipairs(call('HKEYS', H..ARGV[4])) do\n"
                           "  n = tonumber(n)\n"
                           "  if n >= from and (not first or n < first) then first = n end\n"
                           "end\n"
                           "if first then p = call('HGET', H..ARGV[4], first) p = alive(p) and p\n"
                           "else p = ARGV[5] == '1' and head(ARGV[4]) or whole(ARGV[4]) end\n"
                           "return p and (ARGV[5] == '1' and string.sub(p, 1, HEAD) or p) or ''\n";

/* ARGV: now; idempotency as in apply; snapshot, its entry in :t, the version of all changes; then four a change: kind, key, packed,
 * time to live. Answer: fingerprint or '', and {1, version} done, {0} another write came first, {2} there is no such snapshot.
 * The probe comes first: a server that is out of memory refuses it, and so the whole commit. */
static const char commit[] = "local kept = replay(ARGV[2])\n"
                             "if kept then return kept end\n"
                             "if not call('ZSCORE', T, ARGV[7]) then return {'', {2}} end\n"
                             "probe()\n"
                             "call('ZREM', T, ARGV[7])\n"
                             "local from = tonumber(ARGV[6])\n"
                             "for at = 9, #ARGV, 4 do\n"
                             "  for _, n in ipairs(call('HKEYS', H..ARGV[at + 1])) do\n"
                             "    if tonumber(n) >= from then return {'', {0}} end\n"
                             "  end\n"
                             "end\n"
                             "look_at_snapshots()\n"
                             "for at = 9, #ARGV, 4 do\n"
                             "  if ARGV[at] == 'set' then\n"
                             "    local why = store(ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])\n"
                             "    if why then return redis.error_reply(why) end\n"
                             "  else remove(ARGV[at + 1]) end\n"
                             "end\n"
                             "sweep(4)\n"
                             "remember(ARGV[2], ARGV[3], ARGV[4], ARGV[5], {1, ARGV[8]})\n"
                             "return {'', {1, ARGV[8]}}\n";

static const char *const bodies[REDIS_SCRIPT_COUNT] = {
    [REDIS_PUT] = put,
    [REDIS_CLAIM] = claim,
    [REDIS_MARK] = mark,
    [REDIS_APPLY] = apply,
    [REDIS_READ] = read_keys,
    [REDIS_SCAN] = scan,
    [REDIS_COUNT] = count,
    [REDIS_BEGIN] = begin,
    [REDIS_END] = end,
    [REDIS_PEEK] = peek,
    [REDIS_COMMIT] = commit,
    [REDIS_LIST] = redis_script_list,
    [REDIS_SET_MODEL] = redis_script_set,
    [REDIS_SORTEDSET] = redis_script_sortedset,
    [REDIS_COUNTER] = redis_script_counter,
};

static enum err make(struct arena *arena, const char *before, const char *models, const char *body,
                     struct redis_script *script)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size;
    const char *text = arena_printf(arena, "%s%s%s", before, models, body);
    if (!text)
        return ERR_NOMEM;
    script->text = slice_str(text);
    if (!EVP_Digest(text, script->text.size, digest, &size, EVP_sha1(), NULL))
        return ERR_NOMEM;
    for (unsigned i = 0; i < REDIS_SHA_DIGITS / 2; i++)
        snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
    return OK;
}

enum err redis_scripts_make(struct arena *arena, struct redis_script scripts[REDIS_SCRIPT_COUNT])
{
    enum err e = OK;
    for (int i = 0; i < REDIS_SCRIPT_COUNT && !e; i++)
        e = make(arena, i == REDIS_PUT ? "" : prelude, i >= REDIS_LIST ? redis_script_models : "", bodies[i],
                 &scripts[i]);
    return e;
}
