/* The handlers, each in the file of its name. */
#ifndef PRISM_STREAMER_API_H
#define PRISM_STREAMER_API_H

struct request;

void api_alter_configs(struct request *);
void api_api_versions(struct request *);
void api_create_partitions(struct request *);
void api_create_topics(struct request *);
void api_delete_topics(struct request *);
void api_describe_cluster(struct request *);
void api_describe_configs(struct request *);
void api_incremental_alter_configs(struct request *);
void api_metadata(struct request *);

#endif
