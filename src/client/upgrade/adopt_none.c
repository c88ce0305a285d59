/* Until adopt.c is there: nothing is ever adopted. */
#include "client/upgrade/adopt.h"

bool update_adopt_is_due(const struct update_settings *settings)
{
    (void)settings;
    return false;
}

int update_adopt(const struct update_adopt_request *request, struct error *error)
{
    (void)request;
    (void)error;
    return UPDATE_ADOPT_NOTHING;
}

int update_adopt_continue(const struct update_settings *settings, struct error *error)
{
    (void)settings;
    (void)error;
    return UPDATE_ADOPT_NOTHING;
}
