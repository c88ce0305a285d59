/* crpc: what generated stubs stand on, and all that a handler or a caller of them needs. A program
 * that serves also includes crpc/server.h. */
#ifndef CRPC_CRPC_H
#define CRPC_CRPC_H

#include "crpc/call.h"
#include "crpc/client.h"
#include "crpc/code.h"
#include "crpc/info.h"
#include "crpc/method.h"

#endif
