/* Drivers for tests of the configuration: tables without a store behind them. */
#ifndef PRISM_TESTS_PROXY_DRIVERS_H
#define PRISM_TESTS_PROXY_DRIVERS_H

#include "data/driver.h"

static const char some_ops;
static const struct driver test_memory = {
    .name = "memory", .ordered_scan = true, .expires = true, .implements = {[INTERFACE_KEYVALUE_BASIC] = &some_ops}};
static const struct driver test_sqlite = {
    .name = "sqlite",
    .durable = true,
    .implements = {[INTERFACE_KEYVALUE_BASIC] = &some_ops, [INTERFACE_KEYVALUE_SCAN] = &some_ops}};
static const struct driver *const test_drivers[] = {&test_memory, &test_sqlite};
static const struct driver_registry test_registry = {test_drivers, 2};

#endif
