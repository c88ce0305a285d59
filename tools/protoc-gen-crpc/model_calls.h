/* What a server's handles and replies are called: short, "flocks_get_status", where that is nobody
 * else's name, and with the service's name in it where it is. */
#ifndef PROTOC_GEN_CRPC_MODEL_CALLS_H
#define PROTOC_GEN_CRPC_MODEL_CALLS_H

#include "model.h"

/* Fills `call_name` of every method; imports are linked already. */
void model_name_calls(const struct model *model);

#endif
