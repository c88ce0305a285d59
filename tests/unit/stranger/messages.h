/* One full message of each of the stranger's larger types; static storage. */
#ifndef TESTS_UNIT_STRANGER_MESSAGES_H
#define TESTS_UNIT_STRANGER_MESSAGES_H

#include "stranger/legacy.names.h"
#include "stranger/shop/v1/shop.names.h"

/* Every kind of field that proto3 has, two packages, well-known types. */
const stranger_shop_v1_item *message_item(void);
/* proto2: required, and optional with and without their defaults. */
const stranger_legacy_old *message_old(void);

#endif
