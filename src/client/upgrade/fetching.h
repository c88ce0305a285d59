/* An archive while it is being fetched: what is known of it before it comes. Part of fetch.c. */
#ifndef FLOCKS_UPGRADE_FETCHING_H
#define FLOCKS_UPGRADE_FETCHING_H

#include <stdbool.h>

#include "client/updater/checksums.h"
#include "client/updater/signature.h"
#include "client/upgrade/fetch.h"
#include "client/upgrade/trust.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct fetching {
    const struct fetch_request *request;
    const struct update_settings *settings;
    const struct release_choice *choice;
    const char *name;
    struct trust_keys keys;
    /* Of the archive; NULL: nobody told one. */
    const char *sha256;
    char sha256_text[CHECKSUM_SIZE];
    /* The checksum is in a file that was signed. */
    bool is_checksum_signed;
    struct signature *signature;
    struct fetched *out;
    /* Not NULL. */
    struct error *error;
};

/* A path of this machine; else a URL. */
bool fetching_is_local(const char *place);

/* Gets the keys, and from the sources what the archive must be: checksum and signature, so far as
 * they are told and wanted. Refuses what nobody vouches for before anything large is fetched. The
 * signature of a file of checksums is verified here, that of the archive is not. */
NODISCARD int fetching_vouch(struct fetching *fetching);

#endif
