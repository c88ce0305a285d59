/* What an update is told before it begins: where the instance lies, the `update` section of its
 * configuration, and what the environment says. One value, loaded once, borrowed by everything in
 * this room. */
#ifndef FLOCKS_UPGRADE_SETTINGS_H
#define FLOCKS_UPGRADE_SETTINGS_H

#include <stdbool.h>

#include "flocks/v1/config.names.h"

#include "client/updater/asset_name.h"
#include "client/updater/release.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/release/upgrade_paths.h"
#include "common/schema/mistake.h"

/* Texts NULL where they were not given. Borrowed. */
struct update_settings_request {
    const char *root;
    const char *config;
    const char *socket;
    const char *region;
    /* Root, run and logs are made where they are missing (paths_prepare). */
    bool prepare;
};

struct update_settings {
    struct paths paths;
    struct upgrade_paths places;
    bool config_is_named;
    /* The effective configuration of the file, complete with defaults; the services as they stand
     * there. Never NULL. */
    const flocks_config *config;
    /* Its section. Never NULL. */
    const flocks_update_config *update;
    struct platform platform;
    /* --region, update.region, else the locale's (LC_ALL, LC_MESSAGES, LANG): as source_region has
     * it; "": none. */
    char region[RELEASE_REGION_MAX + 1];
    /* FLOCKS_UPDATE_TOKEN, for the hosts' API; NULL: none. */
    const char *token;
    /* SSL_CERT_FILE; NULL: the system's. */
    const char *ca_file;
    /* logs/update.log, for appending, close-on-exec; -1: it cannot be opened. Of install steps, and
     * of the updater's own lines. Larger files were renamed to update.log.1 when it was opened. */
    int log_fd;
    /* Private. */
    struct arena arena;
    struct mistakes mistakes;
};

enum {
    /* update.log that is so large at the beginning of an update is put aside as update.log.1, in
     * the place of an earlier one: two of them and one update's output are kept. */
    UPDATE_LOG_BYTES_MAX = 4 * 1024 * 1024
};

/* Reads the configuration; without `prepare` it makes nothing but the log's file, where there is a
 * directory for it.
 * -STATUS_INVALID_ARGUMENT (INVALID_CONFIG): its mistakes. Deinit is due after any result. */
NODISCARD int update_settings_load(const struct update_settings_request *request,
    struct update_settings *out, struct error *error);
void update_settings_deinit(struct update_settings *settings);

#endif
