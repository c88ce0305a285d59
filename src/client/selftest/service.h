/* What the drills' services do: this program itself, run with --serve. */
#ifndef FLOCKS_SELFTEST_SERVICE_H
#define FLOCKS_SELFTEST_SERVICE_H

/* `mode` and what follows it; never returns but with an exit code. */
int service_run(int argc, char **argv);

#endif
