/* The command line. */
#include <getopt.h>
#include <math.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/limits.h"
#include "loadtest.h"

static const char help[] =
    "usage: prism-loadtest [OPTION]...\n"
    "\n"
    "Calls a gRPC server as often as it can, or at a rate, and tells how long the answers took, to p99.99.\n"
    "\n"
    "What is called: a mix of key-value calls, or one method.\n"
    "  --mix LIST                 get, set, delete, exists, scan with weights; default get=90,set=10\n"
    "  --size BYTES               of a value that the mix sets; default 100\n"
    "  --keys N                   keys that the mix uses, and below which {{random}} stays; default 10000\n"
    "  --fill                     set every key once before\n"
    "  --method NAME              keyvalue_basic/Get, KeyValueBasic/Get or the full path, with or without streams; "
    "one\n"
    "                             that this build does not know is asked of the server by reflection\n"
    "  --reflect                  asks the server even for those that it knows\n"
    "  --messages N               that a call sends where the method takes a stream; default 1\n"
    "  --request JSON             its request; default {}. In strings {{seq}} becomes the number of the call and "
    "{{random}}\n"
    "                             a random one, both of 12 digits. For a field of bytes write \"text:...\", or base64\n"
    "\n"
    "How:\n"
    "  --connections N            default 1\n"
    "  --streams N                calls in flight on each; default 1\n"
    "  --threads N                that share the connections; default 1\n"
    "  --rate N                   open loop: N calls a second, whatever the server does; latency counts from the time "
    "at\n"
    "                             which a call was due. Without it: closed loop, a caller sends when it was answered\n"
    "  --ramp FROM:TO:TIME        open loop whose rate changes evenly within TIME and then stays: 100:5000:10s\n"
    "  --duration TIME            measured; default 10s\n"
    "  --warmup TIME              before, not measured; default 500ms\n"
    "  --timeout TIME             of one call; default 30s\n"
    "  --wait                     calls wait for a server that is away, as while it restarts, until their timeout\n"
    "  --namespace NAME           default: default (PRISM_NAMESPACE)\n"
    "  --address HOST:PORT        default 127.0.0.1:8980 (PRISM_ADDRESS)\n"
    "  --tls, --ca FILE, --insecure  TLS; authorities that are trusted; without checking the certificate\n"
    "\n"
    "What comes out:\n"
    "  -o, --output table|json    default table\n"
    "  --svg FILE                 chart of latency by percentile\n"
    "  -q, --quiet                no progress line\n"
    "  --help, --version\n"
    "\n"
    "Examples:\n"
    "  prism-loadtest --namespace memory --fill --connections 8 --streams 10\n"
    "      as fast as it goes, 80 callers, 9 reads for each write\n"
    "  prism-loadtest --namespace memory --rate 1000 --connections 16 --mix get=1 --svg latency.svg\n"
    "      1,000 reads a second\n"
    "  prism-loadtest --namespace demo --method keyvalue_scan/Scan --request "
    "'{\"prefix\":\"text:language/\",\"limit\":10}'\n"
    "      a stream a call\n"
    "\n"
    "Exit code: 0; that of docs/reference/errors.md for the most frequent error where calls failed; 2 for the command "
    "line.\n";

void options_help(FILE *out)
{
    fputs(help, out);
}

enum {
    OPTION_MIX = 256,
    OPTION_SIZE,
    OPTION_KEYS,
    OPTION_FILL,
    OPTION_METHOD,
    OPTION_REQUEST,
    OPTION_CONNECTIONS,
    OPTION_STREAMS,
    OPTION_THREADS,
    OPTION_MESSAGES,
    OPTION_REFLECT,
    OPTION_RATE,
    OPTION_RAMP,
    OPTION_DURATION,
    OPTION_WARMUP,
    OPTION_TIMEOUT,
    OPTION_WAIT,
    OPTION_NAMESPACE,
    OPTION_ADDRESS,
    OPTION_TLS,
    OPTION_CA,
    OPTION_INSECURE,
    OPTION_SVG,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option table[] = {
    {"mix", required_argument, NULL, OPTION_MIX},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"fill", no_argument, NULL, OPTION_FILL},
    {"method", required_argument, NULL, OPTION_METHOD},
    {"request", required_argument, NULL, OPTION_REQUEST},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"streams", required_argument, NULL, OPTION_STREAMS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"messages", required_argument, NULL, OPTION_MESSAGES},
    {"reflect", no_argument, NULL, OPTION_REFLECT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"ramp", required_argument, NULL, OPTION_RAMP},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"namespace", required_argument, NULL, OPTION_NAMESPACE},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"tls", no_argument, NULL, OPTION_TLS},
    {"ca", required_argument, NULL, OPTION_CA},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"output", required_argument, NULL, 'o'},
    {"svg", required_argument, NULL, OPTION_SVG},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static enum err read_count(struct diag *diag, const char *name, const char *text, uint64_t min, uint64_t max,
                           uint64_t *ret_count)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < min || n > max)
        return diag_set(diag, ERR_USAGE, "--%s takes a number from %llu to %llu, not \"%s\"", name,
                        (unsigned long long)min, (unsigned long long)max, text);
    *ret_count = n;
    return OK;
}

static enum err read_time(struct diag *diag, const char *name, const char *text, bool may_be_zero, int64_t *ret_ns)
{
    int64_t ns;
    if (duration_parse(slice_str(text), &ns) != OK || (!ns && !may_be_zero))
        return diag_set(diag, ERR_USAGE, "--%s takes a time such as 10s, not \"%s\"", name, text);
    *ret_ns = ns;
    return OK;
}

/* A rate in front of the character stop. Answers what stands behind it; NULL: that is no rate. */
static const char *read_rate(const char *text, char stop, double *ret_rate)
{
    char *end;
    double rate = strtod(text, &end);
    if (end == text || *end != stop || !(rate >= 0.001 && rate <= 1e8))
        return NULL;
    *ret_rate = rate;
    return stop ? end + 1 : end;
}

static enum err read_constant(struct diag *diag, const char *text, struct options *o)
{
    if (o->rate_to)
        return diag_set(diag, ERR_USAGE, "a rate is given twice");
    if (!read_rate(text, 0, &o->rate_from))
        return diag_set(diag, ERR_USAGE, "--rate takes calls a second, not \"%s\"", text);
    o->rate_to = o->rate_from;
    return OK;
}

static enum err read_ramp(struct diag *diag, const char *text, struct options *o)
{
    if (o->rate_to)
        return diag_set(diag, ERR_USAGE, "a rate is given twice");
    const char *rest = read_rate(text, ':', &o->rate_from);
    rest = rest ? read_rate(rest, ':', &o->rate_to) : NULL;
    if (!rest)
        return diag_set(diag, ERR_USAGE, "--ramp takes FROM:TO:TIME such as 100:5000:10s, not \"%s\"", text);
    return read_time(diag, "ramp", rest, false, &o->ramp_ns);
}

static enum err read_output(struct diag *diag, const char *text, struct options *o)
{
    if (strcmp(text, "table") != 0 && strcmp(text, "json") != 0)
        return diag_set(diag, ERR_USAGE, "--output takes table or json, not \"%s\"", text);
    o->output = *text == 'j' ? OUTPUT_JSON : OUTPUT_TABLE;
    return OK;
}

/* Options whose value is text, or that have none. false: it is another one. */
static bool take_text(struct options *o, int option)
{
    switch (option) {
    case OPTION_MIX:
        o->mix = optarg;
        return true;
    case OPTION_FILL:
        return o->fill = true;
    case OPTION_METHOD:
        o->method = optarg;
        return true;
    case OPTION_REFLECT:
        return o->reflect = true;
    case OPTION_REQUEST:
        o->request = optarg;
        return true;
    case OPTION_NAMESPACE:
        o->name_space = optarg;
        return true;
    case OPTION_ADDRESS:
        o->address = optarg;
        return true;
    case OPTION_WAIT:
        return o->wait = true;
    case OPTION_TLS:
        return o->tls = true;
    case OPTION_CA:
        o->ca_file = optarg;
        return o->tls = true;
    case OPTION_INSECURE:
        return o->tls = o->insecure = true;
    case OPTION_SVG:
        o->svg = optarg;
        return true;
    case 'q':
        return o->quiet = true;
    case OPTION_HELP:
        return o->help = true;
    case OPTION_VERSION:
        return o->version = true;
    default:
        return false;
    }
}

static enum err take_value(struct options *o, int option, struct diag *diag)
{
    switch (option) {
    case OPTION_SIZE:
        return read_count(diag, "size", optarg, 0, LIMIT_MESSAGE_BYTES_MAX / 2, &o->size);
    case OPTION_KEYS:
        return read_count(diag, "keys", optarg, 1, 999999999999, &o->keys);
    case OPTION_CONNECTIONS:
        return read_count(diag, "connections", optarg, 1, CONNECTIONS_MAX, &o->connections);
    case OPTION_STREAMS:
        return read_count(diag, "streams", optarg, 1, STREAMS_MAX, &o->streams);
    case OPTION_THREADS:
        return read_count(diag, "threads", optarg, 1, THREADS_MAX, &o->threads);
    case OPTION_MESSAGES:
        return read_count(diag, "messages", optarg, 0, MESSAGES_MAX, &o->messages);
    case OPTION_RATE:
        return read_constant(diag, optarg, o);
    case OPTION_RAMP:
        return read_ramp(diag, optarg, o);
    case OPTION_DURATION:
        return read_time(diag, "duration", optarg, false, &o->duration_ns);
    case OPTION_WARMUP:
        return read_time(diag, "warmup", optarg, true, &o->warmup_ns);
    case OPTION_TIMEOUT:
        return read_time(diag, "timeout", optarg, false, &o->timeout_ns);
    case 'o':
        return read_output(diag, optarg, o);
    default:
        return diag_set(diag, ERR_USAGE, "see what stands above");
    }
}

static enum err check(const struct options *o, int argc, char **argv, struct diag *diag)
{
    if (optind < argc)
        return diag_set(diag, ERR_USAGE, "\"%s\" is no option", argv[optind]);
    if (o->method && o->mix)
        return diag_set(diag, ERR_USAGE, "--method and --mix exclude each other");
    if (o->request && !o->method)
        return diag_set(diag, ERR_USAGE, "--request belongs to --method");
    if (o->threads > o->connections)
        return diag_set(diag, ERR_USAGE, "--threads %llu is more than --connections %llu: each thread needs one",
                        (unsigned long long)o->threads, (unsigned long long)o->connections);
    if (o->connections * o->streams > SLOTS_MAX)
        return diag_set(diag, ERR_USAGE, "more than %d calls in flight", SLOTS_MAX);
    return OK;
}

static const char *environment(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

enum err options_parse(int argc, char **argv, struct diag *diag, struct options *ret_options)
{
    enum { SECOND_NS = 1000000000, KEYS = 10000, VALUE_BYTES = 100 };
    struct options o = {.address = environment("PRISM_ADDRESS", "127.0.0.1:8980"),
                        .name_space = environment("PRISM_NAMESPACE", "default"),
                        .connections = 1,
                        .streams = 1,
                        .threads = 1,
                        .messages = 1,
                        .keys = KEYS,
                        .size = VALUE_BYTES,
                        .duration_ns = 10ll * SECOND_NS,
                        .warmup_ns = SECOND_NS / 2,
                        .timeout_ns = 30ll * SECOND_NS};
    int option;
    while ((option = getopt_long(argc, argv, "o:q", table, NULL)) != -1) {
        enum err e = take_text(&o, option) ? OK : take_value(&o, option, diag);
        if (e)
            return e;
    }
    enum err e = check(&o, argc, argv, diag);
    if (!e)
        *ret_options = o;
    return e;
}
