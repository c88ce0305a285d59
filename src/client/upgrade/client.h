/* The real server: flocksd over its socket, by libflocks. */
#ifndef FLOCKS_UPGRADE_CLIENT_H
#define FLOCKS_UPGRADE_CLIENT_H

#include "flocks/client.h"

#include "client/upgrade/server.h"
#include "client/upgrade/settings.h"

struct update_client {
    const struct update_settings *settings;
    struct flocks_client *client;
};

/* `settings` are borrowed until close. Touches nothing yet. -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int update_client_open(
    struct update_client *client, const struct update_settings *settings, struct error *error);
/* Also of a zeroed one. */
void update_client_close(struct update_client *client);

struct update_server update_client_server(struct update_client *client);

#endif
