/* counter: numbers to add to. */
#include "cli.h"
#include "prism/counter/v1/counter_basic.pb.h"

enum err run_counter_add(struct cli *cli)
{
    struct counter_add_and_get_request request = {.delta = 1};
    struct counter_add_and_get_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e && cli_argument(cli, 1))
        e = collection_integer(cli, cli_argument(cli, 1), "DELTA", &request.delta);
    if (!e)
        e = collection_call(cli, &counter_basic_service, "AddAndGet", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &counter_add_and_get_response_pb, response, "%lld", (long long)response->value);
}

enum err run_counter_get(struct cli *cli)
{
    struct counter_get_request request = {.unknown = {0}};
    struct counter_get_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &counter_basic_service, "Get", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &counter_get_response_pb, response, "%lld", (long long)response->value);
}

enum err run_counter_clear(struct cli *cli)
{
    struct counter_clear_request request = {.unknown = {0}};
    struct counter_clear_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &counter_basic_service, "Clear", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &counter_clear_response_pb, response, "cleared %s, which was %lld",
                          collection_name(cli, request.key), (long long)response->value);
}
