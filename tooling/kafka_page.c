/* Writes docs/reference/kafka.md from the table of APIs. Run by make docs. */
#include <stdio.h>

#include "kafka/api.h"

static void print_intro(void)
{
    puts("---\ntitle: Kafka protocol\ndescription: The APIs of Kafka's protocol that MemoryStreamer takes, and their "
         "versions\n---\n");
    puts("# Kafka protocol\n");
    puts("<!-- Generated from src/kafka/spec by make docs; do not edit. -->\n");
    puts("What MemoryStreamer tells clients that ask (`ApiVersions`). A version is *flexible* where sizes are varints "
         "and "
         "fields may be");
    puts("tagged. Produce is listed from version 0 on because old clients look for that; record batches come with "
         "version "
         "3, and what");
    puts("versions 0 to 2 carry is answered with `UNSUPPORTED_FOR_MESSAGE_FORMAT`.\n");
    puts("| API | Key | Versions | Flexible from |");
    puts("|---|---:|---|---:|");
}

int main(void)
{
    print_intro();
    for (uint32_t i = 0; i < kafka_api_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        printf("| %s | %d | %d to %d | ", api->name, api->key, api->version_min, api->version_max);
        if (api->flexible <= api->version_max)
            printf("%d |\n", api->flexible);
        else
            puts("never |");
    }
    return 0;
}
