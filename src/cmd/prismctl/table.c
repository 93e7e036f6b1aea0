/* The command table: every command, option, argument and example of prismctl. Help, completion and the man page are printed
 * from it, so that a command is described in one place. */
#include "cli.h"
#include "stream.h"

#define END_ARGUMENTS                                                                                                  \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }
#define KEY_FORMS                                                                                                      \
    {.name = "hex", .kind = OPTION_FLAG, .help = "keys are given in hexadecimal: 00ff41"},                             \
    {                                                                                                                  \
        .name = "base64", .kind = OPTION_FLAG, .help = "keys are given in base64"                                      \
    }
#define RANGE                                                                                                          \
    {.name = "prefix", .letter = 'p', .kind = OPTION_TEXT, .value = "PREFIX", .help = "keys that begin with it"},      \
        {.name = "start", .kind = OPTION_TEXT, .value = "KEY", .help = "from this key on, inclusive"},                 \
    {                                                                                                                  \
        .name = "end", .kind = OPTION_TEXT, .value = "KEY", .help = "up to this key, exclusive"                        \
    }

const struct option global_options[] = {
    {.name = "address",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .value = "HOST:PORT",
     .env = "PRISM_ADDRESS",
     .fallback = "127.0.0.1:8980",
     .help = "where the proxy serves data"},
    {.name = "admin-address",
     .kind = OPTION_TEXT,
     .value = "HOST:PORT",
     .env = "PRISM_ADMIN_ADDRESS",
     .fallback = "127.0.0.1:9090",
     .help = "where it serves operations"},
    {.name = "namespace",
     .letter = 'n',
     .kind = OPTION_TEXT,
     .value = "NAME",
     .env = "PRISM_NAMESPACE",
     .fallback = "default",
     .help = "namespace of data commands"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_CHOICE,
     .value = "FORMAT",
     .choices = "table|json|yaml",
     .env = "PRISM_OUTPUT",
     .fallback = "table",
     .help = "how results are printed: table, json, yaml"},
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .value = "TIME",
     .env = "PRISM_TIMEOUT",
     .help = "deadline of each call: 250ms, 5s; default 30s, none for scans, import and export"},
    {.name = "wait",
     .kind = OPTION_FLAG,
     .help = "where nobody answers, as while the proxy restarts, wait until somebody does, for --timeout at most"},
    {.name = "metadata",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .value = "KEY=VALUE",
     .many = true,
     .help = "metadata to send with each call; may be given more than once"},
    {.name = "tls", .kind = OPTION_FLAG, .help = "speak TLS to the data address"},
    {.name = "ca",
     .kind = OPTION_FILE,
     .value = "FILE",
     .help = "PEM file of the authority to trust, instead of the system's"},
    {.name = "cert", .kind = OPTION_FILE, .value = "FILE", .help = "PEM file of the client certificate; with --key"},
    {.name = "key", .kind = OPTION_FILE, .value = "FILE", .help = "PEM file of its key"},
    {.name = "insecure", .kind = OPTION_FLAG, .help = "with TLS: do not verify the server"},
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     .help = "tell on standard error what is called and how long it takes"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "this help, or that of a command"},
    {.name = "version", .kind = OPTION_FLAG, .help = "print the version"},
    {.name = NULL},
};

const struct command_group command_groups[] = {
    {"namespace", "namespaces of the proxy"},
    {"backend", "drivers, what they implement, and how the stores are"},
    {"kv", "keys and values"},
    {"list", "lists: values in an order"},
    {"set", "sets: members, each once"},
    {"sortedset", "sorted sets: members with scores"},
    {"counter", "counters: numbers to add to"},
    {"stream", "topics, records and groups of a broker that speaks Kafka's protocol"},
    {"config", "the proxy's configuration"},
    {NULL, NULL},
};

static const struct option no_options[] = {{.name = NULL}};
static const struct argument no_arguments[] = {END_ARGUMENTS};
static const struct option key_options[] = {KEY_FORMS, {.name = NULL}};
static const struct argument key_argument[] = {{.name = "KEY", .help = "the key"}, END_ARGUMENTS};
static const struct option range_options[] = {RANGE, KEY_FORMS, {.name = NULL}};
static const struct argument prefix_argument[] = {
    {.name = "PREFIX", .optional = true, .help = "short for --prefix"},
    END_ARGUMENTS,
};

static const struct argument name_argument[] = {
    {.name = "NAME", .optional = true, .help = "the namespace; default: that of --namespace"},
    END_ARGUMENTS,
};

static const struct argument backend_argument[] = {
    {.name = "NAME", .optional = true, .help = "a namespace, or a backend that namespaces use; default: all"},
    END_ARGUMENTS,
};
static const struct argument test_argument[] = {
    {.name = "NAME",
     .optional = true,
     .help = "a namespace, or a backend that a namespace uses; default: that of --namespace"},
    END_ARGUMENTS,
};

static const struct argument set_arguments[] = {
    {.name = "KEY", .help = "the key"},
    {.name = "VALUE", .file = true, .help = "text; - reads standard input, @FILE a file"},
    END_ARGUMENTS,
};
static const struct option set_options[] = {
    {.name = "ttl", .kind = OPTION_DURATION, .value = "TIME", .help = "let the key expire after this time: 90s, 12h"},
    {.name = "tag",
     .kind = OPTION_TEXT,
     .value = "NAME=VALUE",
     .many = true,
     .help = "keep a tag with the value; may be given more than once"},
    {.name = "if-version",
     .kind = OPTION_TEXT,
     .value = "VERSION",
     .help = "only if the key has this version, as kv set and kv get -o json show it"},
    {.name = "if-absent", .kind = OPTION_FLAG, .help = "only if there is no such key"},
    {.name = "idempotency-key",
     .kind = OPTION_TEXT,
     .value = "ID",
     .help = "a retry with the same id answers as the first call"},
    KEY_FORMS,
    {.name = NULL},
};
static const struct option delete_options[] = {
    {.name = "if-version", .kind = OPTION_TEXT, .value = "VERSION", .help = "only if the key has this version"},
    {.name = "idempotency-key",
     .kind = OPTION_TEXT,
     .value = "ID",
     .help = "a retry with the same id answers as the first call"},
    KEY_FORMS,
    {.name = NULL},
};
static const struct argument expire_arguments[] = {
    {.name = "KEY", .help = "the key"},
    {.name = "TTL", .help = "time to live from now: 90s, 12h; 0 deletes the key"},
    END_ARGUMENTS,
};
static const struct option scan_options[] = {
    RANGE,
    {.name = "limit", .letter = 'l', .kind = OPTION_COUNT, .value = "N", .help = "at most so many keys"},
    {.name = "page-size", .kind = OPTION_COUNT, .value = "N", .help = "items a page; default 100, at most 10000"},
    {.name = "cursor",
     .kind = OPTION_TEXT,
     .value = "BASE64",
     .help = "continue behind a page; --verbose shows its cursor"},
    {.name = "reverse", .letter = 'r', .kind = OPTION_FLAG, .help = "from the last key to the first"},
    {.name = "keys-only", .letter = 'k', .kind = OPTION_FLAG, .help = "print keys alone, one a line"},
    KEY_FORMS,
    {.name = NULL},
};
static const struct argument import_argument[] = {
    {.name = "FILE",
     .file = true,
     .help = "records, one JSON object a line, or a JSON array of them; - reads standard input"},
    END_ARGUMENTS,
};
static const struct option import_options[] = {
    {.name = "on-error",
     .kind = OPTION_CHOICE,
     .value = "WHAT",
     .choices = "stop|skip",
     .fallback = "stop",
     .help = "at a bad record: stop, or skip it and go on"},
    {.name = "prefix", .letter = 'p', .kind = OPTION_TEXT, .value = "PREFIX", .help = "put this in front of every key"},
    {.name = "ttl", .kind = OPTION_DURATION, .value = "TIME", .help = "time to live of records that bring none"},
    {.name = "batch", .kind = OPTION_COUNT, .value = "N", .fallback = "500", .help = "records a call, at most 1000"},
    {.name = "parallel", .kind = OPTION_COUNT, .value = "N", .fallback = "4", .help = "calls in flight, at most 16"},
    {.name = "resume",
     .kind = OPTION_FLAG,
     .help = "keep in FILE.position how far it came, and go on from there where an earlier run was broken off"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .help = "no progress bar"},
    {.name = NULL},
};
static const struct argument export_argument[] = {
    {.name = "FILE", .optional = true, .file = true, .help = "where to; default and -: standard output"},
    END_ARGUMENTS,
};
static const struct option export_options[] = {
    RANGE,
    KEY_FORMS,
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .help = "no progress bar"},
    {.name = NULL},
};
static const struct argument call_arguments[] = {
    {.name = "METHOD", .help = "package.Service/Method, or as much of its end as is unique: KeyValueBasic/Get"},
    {.name = "JSON",
     .optional = true,
     .file = true,
     .help = "the request as ProtoJSON; - standard input, @FILE a file; several requests as a list or one a line"},
    END_ARGUMENTS,
};
static const struct option call_options[] = {
    {.name = "admin",
     .kind = OPTION_FLAG,
     .help = "call the admin address (methods of prism.admin are called there anyway)"},
    {.name = NULL},
};
static const struct argument symbol_argument[] = {
    {.name = "SYMBOL", .help = "a service, method, message or enum, by its name or as much of its end as is unique"},
    END_ARGUMENTS,
};
static const struct argument validate_argument[] = {
    {.name = "FILE", .file = true, .help = "prism.yaml"},
    END_ARGUMENTS,
};
static const struct option reload_options[] = {
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "only say whether the proxy would take the file"},
    {.name = NULL},
};
static const struct argument shell_argument[] = {
    {.name = "SHELL", .help = "bash or zsh"},
    END_ARGUMENTS,
};
static const struct argument help_arguments[] = {
    {.name = "COMMAND", .optional = true, .help = "a command, or the first word of some"},
    {.name = "WORD", .optional = true, .help = "its second word"},
    END_ARGUMENTS,
};
static const struct option help_options[] = {
    {.name = "man", .kind = OPTION_FLAG, .help = "the manual page, in troff"},
    {.name = NULL},
};

static const struct command commands[] = {
    {"health", "whether the proxy serves",
     "Asks grpc.health.v1 at the data address. Exit code 0: it serves; 33: it does not, or cannot be reached.",
     no_arguments, no_options,
     (const struct example[]){{"prismctl health", "is it up"},
                              {"prismctl health --address db1:8980 -o json", "another one, for a script"},
                              {NULL, NULL}},
     run_health},
    {"status", "version, addresses, configuration of the proxy", NULL, no_arguments, no_options,
     (const struct example[]){{"prismctl status", "what runs, since when, with which file"}, {NULL, NULL}}, run_status},
    {"namespace list", "namespaces, their backends, and whether they are well", NULL, no_arguments, no_options,
     (const struct example[]){{"prismctl namespace list", "all"},
                              {"prismctl namespace list -o yaml", "with the interfaces of each"},
                              {NULL, NULL}},
     run_namespace_list},
    {"namespace describe", "one namespace: interfaces, settings, figures", NULL, name_argument, no_options,
     (const struct example[]){{"prismctl namespace describe demo", "settings with defaults filled in"}, {NULL, NULL}},
     run_namespace_describe},
    {"backend list", "drivers and the interfaces that each implements",
     "The matrix is printed from the drivers' own tables.", no_arguments, no_options,
     (const struct example[]){{"prismctl backend list", "driver by interface"}, {NULL, NULL}}, run_backend_list},
    {"backend health", "whether the backends of namespaces answer, and their circuit breakers",
     "Exit code 33 if one does not.", backend_argument, no_options,
     (const struct example[]){{"prismctl backend health", "of all namespaces"},
                              {"prismctl backend health main -o json", "of those on the backend main, for a script"},
                              {NULL, NULL}},
     run_backend_health},
    {"backend stats", "figures of drivers and guards: connections, calls in flight, retries, refusals", NULL,
     backend_argument, no_options,
     (const struct example[]){{"prismctl backend stats orders", "of one namespace"}, {NULL, NULL}}, run_backend_stats},
    {"backend test", "make a round trip to a backend, step by step",
     "On a connection of its own, made by the proxy: name, connect, TLS, credentials, a question and its answer, each "
     "with the time that it took. What fails is told with the fix.",
     test_argument, no_options,
     (const struct example[]){{"prismctl backend test main", "can the proxy use the backend main?"}, {NULL, NULL}},
     run_backend_test},
    {"kv get", "print the value of a key",
     "The value goes to standard output byte for byte; on a terminal a line feed follows. A missing key is exit code "
     "24.",
     key_argument, key_options,
     (const struct example[]){{"prismctl kv get -n demo language/deu", "a value"},
                              {"prismctl kv get --hex 00ff", "of a key that is no text"},
                              {"prismctl kv get -o json greeting", "with version, expiry and tags"},
                              {NULL, NULL}},
     run_kv_get},
    {"kv set", "store a value under a key", NULL, set_arguments, set_options,
     (const struct example[]){{"prismctl kv set greeting hello", "text"},
                              {"prismctl kv set photo @cat.jpg --ttl 24h", "a file, for a day"},
                              {"date | prismctl kv set now -", "from standard input"},
                              {"prismctl kv set lock me --if-absent --ttl 30s", "only where there is none"},
                              {NULL, NULL}},
     run_kv_set},
    {"kv delete", "remove a key", "Says whether it was there; a missing key is no error.", key_argument, delete_options,
     (const struct example[]){{"prismctl kv delete greeting", "remove it"}, {NULL, NULL}}, run_kv_delete},
    {"kv exists", "whether there is a key", "Exit code 0: there is; 24: there is not.", key_argument, key_options,
     (const struct example[]){{"prismctl kv exists greeting && echo yes", "in a script"}, {NULL, NULL}}, run_kv_exists},
    {"kv ttl", "when a key expires", NULL, key_argument, key_options,
     (const struct example[]){{"prismctl kv ttl photo", "time left"}, {NULL, NULL}}, run_kv_ttl},
    {"kv expire", "let a key expire", NULL, expire_arguments, key_options,
     (const struct example[]){{"prismctl kv expire photo 1h", "an hour from now"}, {NULL, NULL}}, run_kv_expire},
    {"kv persist", "let a key live for ever", NULL, key_argument, key_options,
     (const struct example[]){{"prismctl kv persist photo", "remove its time to live"}, {NULL, NULL}}, run_kv_persist},
    {"kv count", "count keys", NULL, prefix_argument, range_options,
     (const struct example[]){{"prismctl kv count -n demo language/", "with a prefix"}, {NULL, NULL}}, run_kv_count},
    {"kv scan", "list keys and values in order",
     "On a terminal values are cut to the width of it. With -o json each item is one line, as kv export writes it.",
     prefix_argument, scan_options,
     (const struct example[]){
         {"prismctl kv scan -n demo --prefix subdivision/DE- --limit 5", "the first five of a prefix"},
         {"prismctl kv scan --start a --end b --reverse", "a range, backwards"},
         {"prismctl kv scan -n demo language/ --keys-only", "keys alone"},
         {NULL, NULL}},
     run_kv_scan},
    {"kv import", "store many records from a file",
     "A record is {\"key\": …, \"value\": …}, or key_base64 and value_base64 for what is no text; ttl (\"3600s\"), "
     "expires_at and tags may "
     "stand beside. Bad records are told as FILE:LINE. Records are written in batches that are not atomic; importing "
     "again "
     "writes the same keys again.",
     import_argument, import_options,
     (const struct example[]){
         {"prismctl kv import records.ndjson", "one record a line"},
         {"prismctl kv export -n old | prismctl kv import -n new -", "from one namespace to another"},
         {"prismctl kv import --on-error skip users.json", "a JSON array, leaving out what is bad"},
         {"prismctl kv import -n orders --resume orders.ndjson", "a long one, again after it was broken off"},
         {NULL, NULL}},
     run_kv_import},
    {"kv export", "write all records to a file",
     "In the form that kv import reads; keys and values come back byte for byte.", export_argument, export_options,
     (const struct example[]){
         {"prismctl kv export -n demo demo.ndjson", "a namespace"},
         {"prismctl kv export -n demo --prefix language/ | jq -r .key", "a part of it, to another program"},
         {NULL, NULL}},
     run_kv_export},
    {"call", "call any method of the server",
     "The method's types come from the server by reflection. Each message of a server stream is printed as it comes.",
     call_arguments, call_options,
     (const struct example[]){{"prismctl call KeyValueBasic/Get '{\"key\":\"Z3JlZXRpbmc=\"}'", "bytes are base64"},
                              {"prismctl call prism.admin.v1.ProxyAdmin/GetStatus", "without a request: the empty one"},
                              {"prismctl call KeyValueScan/Scan @request.json", "a stream, the request from a file"},
                              {NULL, NULL}},
     run_call},
    {"services", "services and methods of the server", "By reflection.", no_arguments, call_options,
     (const struct example[]){{"prismctl services", "all"}, {NULL, NULL}}, run_services},
    {"describe", "a service, method, message or enum of the server", "By reflection.", symbol_argument, call_options,
     (const struct example[]){
         {"prismctl describe KeyValueBasic", "a service"}, {"prismctl describe SetRequest", "a message"}, {NULL, NULL}},
     run_describe},
    {"config validate", "check a configuration file",
     "With the code of the proxy, without one. Every problem is told with line, field and fix. Exit code 70: there are "
     "some.",
     validate_argument, no_options,
     (const struct example[]){{"prismctl config validate prism.yaml", "before it is put into effect"}, {NULL, NULL}},
     run_config_validate},
    {"config reload", "let the proxy read its file again",
     "All or nothing: a file with errors leaves the running configuration in place.", no_arguments, reload_options,
     (const struct example[]){{"prismctl config reload", "put the file into effect"},
                              {"prismctl config reload --dry-run", "only ask"},
                              {NULL, NULL}},
     run_config_reload},
    {"completion", "print a completion script", NULL, shell_argument, no_options,
     (const struct example[]){{"source <(prismctl completion bash)", "in ~/.bashrc"},
                              {"prismctl completion zsh > ~/.zfunc/_prismctl", "in a folder of zsh's fpath"},
                              {NULL, NULL}},
     run_completion},
    {"help", "help about a command", NULL, help_arguments, help_options,
     (const struct example[]){{"prismctl help kv import", "the same as prismctl kv import --help"}, {NULL, NULL}},
     run_help},
    {.name = NULL},
};

static const struct command *end_of(const struct command *table)
{
    while (table->name)
        table++;
    return table;
}

/* The rows of the other tables stand behind the last one here. */
const struct command *command_next(const struct command *c)
{
    static const struct command *const tables[] = {commands, collection_commands, stream_commands};
    enum { TABLES = sizeof tables / sizeof *tables };
    if (!c)
        return commands;
    c++;
    for (int i = 1; !c->name && i < TABLES; i++)
        if (c == end_of(tables[i - 1]))
            return tables[i];
    return c->name ? c : NULL;
}
