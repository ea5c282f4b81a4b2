/* SPDX-License-Identifier: Apache-2.0
 * Makes requests to the system fail - memory, mappings, threads, locks - and counts what is alive. For programs that are linked
 * with --wrap for each of the functions in alloc_wrap.c. */
#ifndef ALLOC_WRAP_H
#define ALLOC_WRAP_H

/* Begin a run: count requests from 1, and let those numbered from..to fail; from 0 = none. */
void alloc_wrap_start(long from, long to);

/* End it: nothing fails any more. Returns the number of requests there were. */
long alloc_wrap_stop(void);

typedef struct alloc_alive {
    long blocks, maps, threads; /* since the last call */
    int files;                  /* open in the process, standard streams included */
} alloc_alive;

alloc_alive alloc_wrap_alive(void);

#endif
