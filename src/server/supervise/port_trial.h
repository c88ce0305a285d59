/* What can be found out about a port by trying it: whether it could be bound, whether something
 * listens. Never says whose it is. */
#ifndef FLOCKS_SUPERVISE_PORT_TRIAL_H
#define FLOCKS_SUPERVISE_PORT_TRIAL_H

#include "server/supervise/endpoint.h"

enum port_trial {
    PORT_TRIAL_FREE,
    /* Somebody has it: it listens, or is bound, or is the near end of a connection. */
    PORT_TRIAL_TAKEN,
    /* Not allowed to try, no such address, no descriptor. */
    PORT_TRIAL_UNKNOWN
};

/* Binds the host's own address (a wildcard as such) with SO_REUSEADDR, and lets it go: takes
 * microseconds, in which nobody else could bind it; so before a start only, never while a service
 * may be about to listen. `shares`: also SO_REUSEPORT, so that only what nobody could share is
 * TAKEN. Of several addresses the worst. */
enum port_trial port_trial_bind(const struct endpoint *endpoint, bool shares);

/* Whether anything listens on one address, by a connection that is given up at once. UNKNOWN: no
 * answer within the call, as with a full backlog. */
enum port_trial port_trial_connect(const union endpoint_address *address);

#endif
