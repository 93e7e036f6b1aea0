/* Writes docs/reference/errors.md from the error table. Run by make docs. */
#include <stdio.h>

#include "base/err.h"

static const char *const scopes[] = {"call", "stream", "connection", "process"};
static const char *const retries[] = {"no", "after reading again", "with backoff"};

static void print_intro(void)
{
    puts("---\ntitle: Errors\ndescription: Every error that Prism answers with, and what each protocol makes of "
         "it\n---\n");
    puts("# Errors\n");
    puts("<!-- Generated from src/base/err.def by make docs; do not edit. -->\n");
    puts("A failed call ends with a gRPC status, and `grpc-status-details-bin` carries `google.rpc.ErrorInfo` with the "
         "name below");
    puts("as `reason` and the domain `prism`; HTTP answers carry the same as JSON. Match on the name: names are never "
         "changed, texts");
    puts("may be. The exit code is that of `prismctl`. *Retry* tells whether the same call may succeed later: a "
         "mutation is safe to");
    puts("retry only where its method is idempotent or the call carries `prism-idempotency-key`.\n");
    puts("| Name | gRPC | HTTP | Kafka | Exit | Scope | Retry | Meaning |");
    puts("|---|---|---:|---:|---:|---|---|---|");
}

static void print_row(enum err e)
{
    const struct err_row *row = err_row(e);
    printf("| `%s` | %s | %d | %d | %d | %s | %s | %s |\n", err_name(e), grpc_status_name(row->grpc), row->http,
           row->kafka, row->exit_code, scopes[row->scope], retries[row->retry], row->text);
}

int main(void)
{
    print_intro();
    for (enum err e = OK; e < ERR_COUNT; e++)
        print_row(e);
    return ferror(stdout) != 0;
}
