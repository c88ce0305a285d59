/* Names of the API offered: methods for `flocks call`, symbols for `flocks describe`. Pure. */
#ifndef FLOCKS_CLI_OFFER_NAMES_H
#define FLOCKS_CLI_OFFER_NAMES_H

#include "client/cli/offer.h"
#include "crpc/catalog.h"

/* Their names alone; with their service where no name begins so. */
void offer_methods(const struct offer *offer, const struct crpc_catalog *catalog);
/* What stands by itself; behind a dot what is inside. Full names where the package is being
 * written. */
void offer_symbols(const struct offer *offer, const struct crpc_catalog *catalog);

#endif
