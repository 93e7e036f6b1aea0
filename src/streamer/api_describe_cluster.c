/* DescribeCluster: one node. */
#include "streamer/api.h"
#include "streamer/broker.h"
#include "streamer/request.h"

enum { ENDPOINT_BROKERS = 1 };

void api_describe_cluster(struct request *r)
{
    const struct kafka_describe_cluster_request *in = r->body;
    const struct broker_identity *who = broker_identity(r->shard->broker);
    struct kafka_describe_cluster_response_broker node = {
        .broker_id = who->node_id, .host = who->host, .port = who->port};
    struct kafka_describe_cluster_response out = kafka_describe_cluster_response_default;
    out.endpoint_type = in->endpoint_type;
    out.cluster_id = who->cluster_id;
    out.controller_id = who->node_id;
    out.brokers.items = &node;
    out.brokers.count = 1;
    if (in->endpoint_type != ENDPOINT_BROKERS) {
        out.error_code = KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        out.error_message = SLICE("there are endpoints of brokers alone");
        out.brokers.count = 0;
    }
    request_reply(r, &out);
}
