/* Ports to listen on, to give up, and to listen on again, while other tests do the same. */
#ifndef FLOCKS_TEST_SUPERVISE_PORTS_H
#define FLOCKS_TEST_SUPERVISE_PORTS_H

#include <stdint.h>

/* Free on every address of both families, each call another one. Below the ports that the kernel
 * chooses, for clients and for whoever binds to port 0: nobody else has it by chance. */
uint16_t ports_choose(void);

#endif
