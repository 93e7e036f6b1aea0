/* An error as one paragraph on standard error: what was done, where, what the server said with its reason and fields, and what
 * to do about it. */
#include "cli.h"

/* What helps against an error; %s is the address of the last call. */
struct fix {
    enum err err;
    const char *text;
};

static const struct fix fixes[] = {
    {ERR_CONNECT_FAILED, "start the proxy (make run, or prism-proxy), or tell where it is by --address or "
                         "PRISM_ADDRESS; --wait waits while it "
                         "restarts"},
    {ERR_CONNECTION_LOST, "see whether the proxy still runs: prismctl health"},
    {ERR_TLS, "check --ca, --cert and --key; does the address speak TLS at all?"},
    {ERR_UNAVAILABLE, "see whether the proxy runs and is well: prismctl health, prismctl namespace list"},
    {ERR_BACKEND_UNREACHABLE, "is the backend's server running, and its address in prism.yaml right? prismctl backend "
                              "test NAME shows how far the proxy gets"},
    {ERR_BACKEND_DENIED, "correct user, password, certificate or database of the backend in prism.yaml"},
    {ERR_BREAKER_OPEN, "prismctl backend health says when calls try again, prismctl backend test NAME what is wrong"},
    {ERR_OUTCOME_UNKNOWN, "read the key to see whether it was written"},
    {ERR_DRAINING, "the proxy is shutting down; try again in a moment"},
    {ERR_DEADLINE_EXCEEDED, "give it more time by --timeout"},
    {ERR_NAMESPACE_UNKNOWN, "prismctl namespace list shows those there are; choose by --namespace or PRISM_NAMESPACE"},
    {ERR_NAMESPACE_MISSING, "choose a namespace by --namespace or PRISM_NAMESPACE"},
    {ERR_INTERFACE_UNSUPPORTED, "prismctl backend list shows what each driver implements"},
    {ERR_METHOD_UNKNOWN, "prismctl services shows the methods of this server"},
    {ERR_UNIMPLEMENTED, "prismctl services shows the methods of this server"},
    {ERR_KEY_INVALID, "keys have 1 to 1,024 bytes"},
    {ERR_MESSAGE_TOO_LARGE, "raise limits.message_bytes of the namespace, or store less at once"},
    {ERR_VERSION_MISMATCH, "read the key again and decide anew"},
    {ERR_CURSOR_OTHER_SCAN, "give the cursor with the range, direction and namespace that it came from"},
    {ERR_CONFIG_INVALID, "correct the lines named above; nothing has been changed"},
    {ERR_USAGE, NULL},
};

/* The same where it is a broker that was asked. */
static const struct fix stream_fixes[] = {
    {ERR_CONNECT_FAILED, "start the broker (memorystreamer), or tell where it is by --broker or PRISM_BROKER"},
    {ERR_CONNECTION_LOST, "does the address speak Kafka's protocol, without TLS?"},
    {ERR_DEADLINE_EXCEEDED, "give it more time by --timeout"},
    {ERR_USAGE, NULL},
};

static const char *fix_in(const struct fix *list, enum err e)
{
    for (; list->err != ERR_USAGE; list++)
        if (list->err == e)
            return list->text;
    return NULL;
}

static const char *fix_of(const struct cli *cli, enum err e)
{
    const struct command *c = cli->args.command;
    return fix_in(c && strncmp(c->name, "stream ", 7) == 0 ? stream_fixes : fixes, e);
}

static void print_usage_hint(const struct cli *cli)
{
    const struct command *c = cli->args.command;
    fprintf(stderr, " Try prismctl%s%s --help.\n", c || cli->args.group ? " " : "",
            c                 ? c->name
            : cli->args.group ? cli->args.group
                              : "");
}

/* What the message has not told already. */
static void print_details(const struct diag *diag)
{
    for (const struct diag_item *i = diag->fields; i; i = i->next)
        if (!strstr(diag_message(diag), i->value))
            fprintf(stderr, "\n  %s: %s", i->name, i->value);
    for (const struct diag_item *i = diag->preconditions; i; i = i->next)
        fprintf(stderr, "\n  %s: %s", i->name, i->value);
    if (diag->retry_after_ms)
        fprintf(stderr, "\n  try again after %u ms", diag->retry_after_ms);
}

/* A sentence ends once. */
static const char *full_stop(const char *text)
{
    size_t size = strlen(text);
    return size && strchr(".!?:\n", text[size - 1]) ? "" : ".";
}

int report(const struct cli *cli, enum err e)
{
    const struct command *c = cli->args.command;
    const char *bad = cli->progress && cli->colour ? "\033[31m" : "", *off = *bad ? "\033[0m" : "";
    const char *message = diag_message(&cli->diag);
    fflush(stdout);
    fprintf(stderr, "%sprismctl%s%s:%s %s%s", bad, c ? " " : "", c ? c->name : "", off, message, full_stop(message));
    if (e == ERR_USAGE) {
        print_usage_hint(cli);
        return err_row(e)->exit_code;
    }
    print_details(&cli->diag);
    fprintf(stderr, "\n  reason: %s", err_name(e));
    if (cli->called)
        fprintf(stderr, ", at %s", cli_address(cli, cli->reached));
    fputc('\n', stderr);
    const char *fix = fix_of(cli, e);
    if (fix)
        fprintf(stderr, "  fix: %s\n", fix);
    return err_row(e)->exit_code;
}
