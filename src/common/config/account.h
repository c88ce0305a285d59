/* Who a service runs as: names to numbers, from /etc/passwd and /etc/group. Never asks NSS: a
 * directory server that does not answer must not stop the loop. */
#ifndef FLOCKS_CONFIG_ACCOUNT_H
#define FLOCKS_CONFIG_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "flocks/v1/config.names.h"

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Larger files are refused. */
    ACCOUNT_FILE_MAX = 4 * 1024 * 1024,
    ACCOUNT_TEXT_MAX = 256,
    /* Supplementary groups of one user. */
    ACCOUNT_GROUPS_MAX = 64
};

struct account {
    uid_t uid;
    gid_t gid;
    /* Supplementary groups; the primary one is among them. More than ACCOUNT_GROUPS_MAX:
     * RESOURCE_EXHAUSTED. */
    gid_t groups[ACCOUNT_GROUPS_MAX];
    size_t n_groups;
    /* Of the user's entry; "": a number without one. */
    char name[ACCOUNT_TEXT_MAX];
    char home[ACCOUNT_TEXT_MAX];
    char shell[ACCOUNT_TEXT_MAX];
};

/* Texts of passwd(5) and group(5). `user` and `group` are names or numbers; "" (or NULL): our own
 * user, the user's own group. INVALID_ARGUMENT: there is none of that name, or a number without an
 * entry comes without a group. Pure. */
NODISCARD int account_find(const char *passwd, const char *groups, const char *user,
    const char *group, struct account *out, struct error *error);
/* The same with the files of this machine. */
NODISCARD int account_resolve(
    const char *user, const char *group, struct account *out, struct error *error);

bool account_is_wanted(const flocks_limits_config *config);

#endif
