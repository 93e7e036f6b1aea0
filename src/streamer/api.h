/* The handlers, each in the file of its name. */
#ifndef PRISM_STREAMER_API_H
#define PRISM_STREAMER_API_H

struct request;

void api_alter_configs(struct request *);
void api_api_versions(struct request *);
void api_create_partitions(struct request *);
void api_create_topics(struct request *);
void api_delete_groups(struct request *);
void api_delete_records(struct request *);
void api_delete_topics(struct request *);
void api_describe_cluster(struct request *);
void api_describe_configs(struct request *);
void api_describe_log_dirs(struct request *);
void api_describe_groups(struct request *);
void api_describe_producers(struct request *);
void api_fetch(struct request *);
void api_find_coordinator(struct request *);
void api_heartbeat(struct request *);
void api_incremental_alter_configs(struct request *);
void api_init_producer_id(struct request *);
void api_join_group(struct request *);
void api_leave_group(struct request *);
void api_list_groups(struct request *);
void api_list_offsets(struct request *);
void api_metadata(struct request *);
void api_offset_commit(struct request *);
void api_offset_delete(struct request *);
void api_offset_fetch(struct request *);
void api_offset_for_leader_epoch(struct request *);
void api_produce(struct request *);
void api_sync_group(struct request *);

#endif
