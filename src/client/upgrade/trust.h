/* Whether an archive is the one that its publisher signed, under this name and for this version.
 * What signatures are: client/updater/signature.h. */
#ifndef FLOCKS_UPGRADE_TRUST_H
#define FLOCKS_UPGRADE_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/config.names.h"

#include "client/updater/signature.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* As update.keys in config.proto. */
    TRUST_KEYS_MAX = 16
};

/* A plain value. */
struct trust_keys {
    struct signature_key items[TRUST_KEYS_MAX];
    size_t n;
};

/* update.keys. -STATUS_INVALID_ARGUMENT: one of them is none; the text says which. */
NODISCARD int trust_load_keys(
    const flocks_update_config *update, struct trust_keys *out, struct error *error);

/* Whether one of the keys has signed the file behind `fd` under the name `name`: the trusted
 * comment must tell it, or an old archive could be served as a new one. As signature_verify;
 * -STATUS_DATA_LOSS also for another name. */
NODISCARD int trust_check_file(const struct trust_keys *keys, const struct signature *signature,
    int fd, const char *name, int cancel_fd, struct error *error);

/* What is told of the version, besides by the list: the name of the archive, or `version:` in the
 * trusted comment (NULL: not signed). -STATUS_DATA_LOSS: another than `version`. *out_is_told: one
 * of them tells it. */
NODISCARD int trust_check_version(const char *name, const struct signature *signature,
    const char *version, bool *out_is_told, struct error *error);

#endif
