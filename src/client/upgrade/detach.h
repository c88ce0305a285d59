/* Independence of whoever started us: nothing that happens to a terminal, a shell or a service that
 * runs an update may end it half-way. */
#ifndef FLOCKS_UPGRADE_DETACH_H
#define FLOCKS_UPGRADE_DETACH_H

#include "common/base/attributes.h"
#include "common/base/error.h"

/* From here on this process leads a session of its own, without a terminal; SIGHUP and SIGPIPE are
 * ignored; SIGINT and SIGTERM make *out_fd readable (cancel.h), and do nothing else. Where
 * this process leads a process group already, and so cannot begin a session, a child goes on and
 * this process stays behind: it passes SIGINT and SIGTERM on, and ends as the child did.
 *
 * The standard descriptors are open afterwards. Before any thread. The descriptor is an eventfd. */
NODISCARD int update_detach(int *out_fd, struct error *error);

#endif
