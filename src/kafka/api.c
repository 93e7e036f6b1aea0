#include "kafka/api.h"

const struct kafka_api *kafka_api_find(int16_t key)
{
    uint32_t low = 0, high = kafka_api_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (kafka_apis[middle].key == key)
            return &kafka_apis[middle];
        if (kafka_apis[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
