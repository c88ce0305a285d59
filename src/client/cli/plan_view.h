/* A PlanConfigResponse as a person reads it: what differs, and what that does to each service. Pure
 * but for the stream. */
#ifndef FLOCKS_CLI_PLAN_VIEW_H
#define FLOCKS_CLI_PLAN_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "flocks/v1/supervisor.names.h"

enum {
    /* Of more changes the rest is counted; --json has all. */
    PLAN_CHANGES = 100,
    /* Of the changes that lead to one impact. */
    PLAN_REASONS = 3
};

/* Whether applying it does anything. */
bool plan_view_is_empty(const flocks_plan_config_response *plan);
void plan_view_print(const flocks_plan_config_response *plan, bool color, FILE *stream);

#endif
