#include "common/config/account.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"

enum { FIELDS_MAX = 7, PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

/* One line of colon-separated fields; lives as long as the text. */
struct field {
    const char *at;
    size_t len;
};

struct line {
    struct field fields[FIELDS_MAX];
    size_t n;
};

static const char *next_line(const char *text, struct line *out)
{
    const char *end = text + strcspn(text, "\n");
    const char *at = text;

    *out = (struct line){.n = 0};
    while (out->n < FIELDS_MAX && at <= end) {
        size_t len = strcspn(at, ":\n");

        out->fields[out->n++] = (struct field){.at = at, .len = len};
        at += len + 1;
    }
    return *end == '\n' ? end + 1 : end;
}

static bool is_field(const struct field *field, const char *text)
{
    return field->at != NULL && strlen(text) == field->len &&
           memcmp(field->at, text, field->len) == 0;
}

static bool read_number(const char *text, size_t len, uint32_t *out)
{
    uint64_t number = 0;

    for (size_t i = 0; text != NULL && i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || number > UINT32_MAX / 10)
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    /* (uid_t)-1 means "leave it" to the kernel. */
    if (len == 0 || number >= UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool copy_field(const struct field *field, char out[ACCOUNT_TEXT_MAX])
{
    if (field->len >= ACCOUNT_TEXT_MAX)
        return false;
    memcpy(out, field->at, field->len);
    out[field->len] = '\0';
    return true;
}

/* A name wins over a number that reads the same. */
static bool find_user(const char *passwd, const char *user, bool by_number, struct account *out)
{
    struct line line = {.n = 0};
    uint32_t wanted = 0;

    if (by_number && !read_number(user, strlen(user), &wanted))
        return false;
    for (const char *at = passwd; *at != '\0';) {
        uint32_t uid = 0;
        uint32_t gid = 0;

        at = next_line(at, &line);
        if (line.n < PASSWD_FIELDS || !read_number(line.fields[2].at, line.fields[2].len, &uid) ||
            !read_number(line.fields[3].at, line.fields[3].len, &gid))
            continue;
        if (by_number ? uid != wanted : !is_field(&line.fields[0], user))
            continue;
        out->uid = uid;
        out->gid = gid;
        return copy_field(&line.fields[0], out->name) && copy_field(&line.fields[5], out->home) &&
               copy_field(&line.fields[6], out->shell);
    }
    return false;
}

static bool find_group(const char *groups, const char *group, gid_t *out)
{
    struct line line = {.n = 0};
    uint32_t gid = 0;

    for (const char *at = groups; *at != '\0';) {
        at = next_line(at, &line);
        if (line.n < GROUP_FIELDS - 1 || !is_field(&line.fields[0], group) ||
            !read_number(line.fields[2].at, line.fields[2].len, &gid))
            continue;
        *out = gid;
        return true;
    }
    if (!read_number(group, strlen(group), &gid))
        return false;
    *out = gid;
    return true;
}

static bool is_listed(const struct field *members, const char *name)
{
    const char *at = members->at;
    const char *end = members->at + members->len;

    while (at < end) {
        struct field member = {.at = at, .len = strcspn(at, ",:\n")};

        if (is_field(&member, name))
            return true;
        at += member.len + 1;
    }
    return false;
}

static bool add_group(struct account *account, gid_t gid)
{
    for (size_t i = 0; i < account->n_groups; i++) {
        if (account->groups[i] == gid)
            return true;
    }
    if (account->n_groups == ACCOUNT_GROUPS_MAX)
        return false;
    account->groups[account->n_groups++] = gid;
    return true;
}

static bool add_supplementary(const char *groups, struct account *account)
{
    struct line line = {.n = 0};
    uint32_t gid = 0;

    if (!add_group(account, account->gid))
        return false;
    for (const char *at = groups; *at != '\0' && account->name[0] != '\0';) {
        at = next_line(at, &line);
        if (line.n >= GROUP_FIELDS && is_listed(&line.fields[3], account->name) &&
            read_number(line.fields[2].at, line.fields[2].len, &gid) && !add_group(account, gid))
            return false;
    }
    return true;
}

int account_find(const char *passwd, const char *groups, const char *user, const char *group,
    struct account *out, struct error *error)
{
    bool has_user = user != NULL && user[0] != '\0';
    bool has_group = group != NULL && group[0] != '\0';
    bool has_entry = false;

    *out = (struct account){.uid = geteuid(), .gid = getegid()};
    if (has_user)
        has_entry = find_user(passwd, user, false, out) || find_user(passwd, user, true, out);
    if (has_user && !has_entry && !read_number(user, strlen(user), &out->uid))
        return error_set(error, STATUS_INVALID_ARGUMENT, "no user %s in /etc/passwd", user);
    if (has_user && !has_entry && !has_group)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "user %s has no entry in /etc/passwd, so a group must be given", user);
    if (has_group && !find_group(groups, group, &out->gid))
        return error_set(error, STATUS_INVALID_ARGUMENT, "no group %s in /etc/group", group);
    if (!add_supplementary(groups, out))
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "user %s is in more than %d groups",
            has_user ? user : "", (int)ACCOUNT_GROUPS_MAX);
    return 0;
}

int account_resolve(const char *user, const char *group, struct account *out, struct error *error)
{
    CLEANUP(free_text) char *passwd = NULL;
    CLEANUP(free_text) char *groups = NULL;
    size_t len;
    int result = fd_read_file("/etc/passwd", ACCOUNT_FILE_MAX, &passwd, &len, error);

    if (result == 0)
        result = fd_read_file("/etc/group", ACCOUNT_FILE_MAX, &groups, &len, error);
    if (result < 0)
        return result;
    assert(passwd != NULL && groups != NULL);
    return account_find(passwd, groups, user, group, out, error);
}

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

bool account_is_wanted(const flocks_limits_config *config)
{
    return config != NULL && (has_text(config->user) || has_text(config->group));
}
