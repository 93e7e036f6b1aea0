/* Secrets: ${ENV} and file:PATH, and that their values never appear in a message. With a table of its own, as no field of the
 * configuration is a secret yet. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../harness.h"
#include "base/limits.h"
#include "proxy/config_read.h"

struct login {
    struct pb_unknown unknown;
    struct slice user;
    struct slice password;
    uint32_t pin;
};
static const struct pb_field_rules secret = {.mask_in_logs = true};
static const struct pb_field fields[] = {
    {.number = 1, .type = PB_STRING, .offset = offsetof(struct login, user), .name = "user", .json_name = "user"},
    {.number = 2,
     .type = PB_STRING,
     .offset = offsetof(struct login, password),
     .name = "password",
     .json_name = "password",
     .rules = &secret},
    {.number = 3,
     .type = PB_UINT32,
     .offset = offsetof(struct login, pin),
     .name = "pin",
     .json_name = "pin",
     .rules = &secret},
};
static const struct pb_message login_pb = {
    .name = "test.Login", .fields = fields, .field_count = 3, .size = sizeof(struct login)};

static const char *environment(const char *name)
{
    return strcmp(name, "DB_PASSWORD") == 0 ? "s3cret" : NULL;
}

struct fixture {
    struct arena arena;
    struct config_report report;
    struct login login;
};

static void read_text(struct fixture *f, const char *text)
{
    const struct yaml_node *root;
    struct yaml_error error;
    *f = (struct fixture){0};
    arena_init(&f->arena, 1 << 20);
    config_report_init(&f->report, &f->arena, "x.yaml");
    CHECK_ERR(yaml_parse(slice_str(text), &f->arena, &error, &root), OK);
    struct config_reader reader = {.arena = &f->arena, .report = &f->report, .environment = environment};
    config_read(&reader, root, &login_pb, &f->login);
}

TEST(a_secret_is_taken_from_the_environment)
{
    struct fixture f;
    read_text(&f, "password: ${DB_PASSWORD}\n");
    CHECK_EQ(f.report.total, 0);
    CHECK_SLICE(f.login.password, SLICE("s3cret"));
    arena_fini(&f.arena);
    read_text(&f, "password: ${DB_PASSWORT}\n");
    CHECK_STR(f.report.problems[0].message, "the environment variable DB_PASSWORT is not set");
    arena_fini(&f.arena);
}

TEST(a_secret_is_taken_from_a_file_without_its_line_end)
{
    char path[] = "/tmp/prism-secret-XXXXXX", text[100];
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "pass word\r\n", 11), 11);
    struct fixture f;
    snprintf(text, sizeof text, "password: file:%s\n", path);
    read_text(&f, text);
    CHECK_EQ(f.report.total, 0);
    CHECK_SLICE(f.login.password, SLICE("pass word"));
    arena_fini(&f.arena);
    CHECK_EQ(ftruncate(fd, LIMIT_SECRET_BYTES + 1), 0);
    read_text(&f, text);
    CHECK_EQ(f.report.total, 1);
    arena_fini(&f.arena);
    close(fd);
    unlink(path);
    read_text(&f, text);
    CHECK_EQ(f.report.total, 1);
    CHECK(strstr(f.report.problems[0].message, "No such file or directory"));
    arena_fini(&f.arena);
}

TEST(other_fields_take_neither)
{
    struct fixture f;
    read_text(&f, "user: ${DB_PASSWORD}\n");
    CHECK_STR(f.report.problems[0].message,
              "`${DB_PASSWORD}` stays as it is: only secrets take variables; write the value itself");
    arena_fini(&f.arena);
    read_text(&f, "user: file:/etc/hostname\n");
    CHECK_EQ(f.report.total, 0);
    CHECK_SLICE(f.login.user, SLICE("file:/etc/hostname"));
    arena_fini(&f.arena);
}

TEST(a_secret_is_never_shown)
{
    struct fixture f;
    read_text(&f, "pin: hunter2\n");
    CHECK_STR(f.report.problems[0].message, "the value is not a whole number from 0");
    arena_fini(&f.arena);
}
