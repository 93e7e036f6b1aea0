#include "kafka/errors.h"

const char *kafka_error_name(int16_t code)
{
    switch (code) {
#define KAFKA_ERROR(number, name)                                                                                      \
    case number:                                                                                                       \
        return #name;
#include "kafka/errors.def"
#undef KAFKA_ERROR
    default:
        return "UNKNOWN_CODE";
    }
}
