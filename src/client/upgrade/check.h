/* `flocks-update check`. */
#ifndef FLOCKS_UPGRADE_CHECK_H
#define FLOCKS_UPGRADE_CHECK_H

#include "client/upgrade/options.h"
#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

/* Appends one flocks.v1.UpdateCheck as JSON, and a newline. Changes nothing. */
NODISCARD int update_check(const struct update_settings *settings,
    const struct update_options *options, int cancel_fd, struct buffer *out, struct error *error);

#endif
