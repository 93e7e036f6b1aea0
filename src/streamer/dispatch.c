#include "streamer/dispatch.h"

#include "streamer/api.h"

/* By key. */
const struct dispatch_row dispatch_rows[] = {
    {KAFKA_API_PRODUCE, api_produce},
    {KAFKA_API_FETCH, api_fetch},
    {KAFKA_API_LIST_OFFSETS, api_list_offsets},
    {KAFKA_API_METADATA, api_metadata},
    {KAFKA_API_OFFSET_COMMIT, api_offset_commit},
    {KAFKA_API_OFFSET_FETCH, api_offset_fetch},
    {KAFKA_API_FIND_COORDINATOR, api_find_coordinator},
    {KAFKA_API_JOIN_GROUP, api_join_group},
    {KAFKA_API_HEARTBEAT, api_heartbeat},
    {KAFKA_API_LEAVE_GROUP, api_leave_group},
    {KAFKA_API_SYNC_GROUP, api_sync_group},
    {KAFKA_API_DESCRIBE_GROUPS, api_describe_groups},
    {KAFKA_API_LIST_GROUPS, api_list_groups},
    {KAFKA_API_API_VERSIONS, api_api_versions},
    {KAFKA_API_CREATE_TOPICS, api_create_topics},
    {KAFKA_API_DELETE_TOPICS, api_delete_topics},
    {KAFKA_API_DELETE_RECORDS, api_delete_records},
    {KAFKA_API_INIT_PRODUCER_ID, api_init_producer_id},
    {KAFKA_API_OFFSET_FOR_LEADER_EPOCH, api_offset_for_leader_epoch},
    {KAFKA_API_DESCRIBE_CONFIGS, api_describe_configs},
    {KAFKA_API_ALTER_CONFIGS, api_alter_configs},
    {KAFKA_API_DESCRIBE_LOG_DIRS, api_describe_log_dirs},
    {KAFKA_API_CREATE_PARTITIONS, api_create_partitions},
    {KAFKA_API_DELETE_GROUPS, api_delete_groups},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, api_incremental_alter_configs},
    {KAFKA_API_OFFSET_DELETE, api_offset_delete},
    {KAFKA_API_DESCRIBE_CLUSTER, api_describe_cluster},
    {KAFKA_API_DESCRIBE_PRODUCERS, api_describe_producers},
};
const uint32_t dispatch_count = sizeof dispatch_rows / sizeof *dispatch_rows;

const struct dispatch_row *dispatch_find(int16_t key)
{
    for (uint32_t i = 0; i < dispatch_count; i++)
        if (dispatch_rows[i].key == key)
            return &dispatch_rows[i];
    return NULL;
}

bool dispatch_unsupported(struct request *r)
{
    if (r->header.key != KAFKA_API_API_VERSIONS)
        return false;
    api_api_versions(r);
    return true;
}
