/* SPDX-License-Identifier: Apache-2.0 */
/* The first use of a volume: it gets what the image has at that place. */
#ifndef INIT_SEED_H
#define INIT_SEED_H

/* Is nothing in that directory, or a part of what was to be copied there? */
int seed_wanted(int directory);
/*
 * Copies what is in a directory into another, with owners, modes and times. 0 or an errno. What is
 * there is part of that already: the other one bears a mark until all is.
 */
int seed_copy(int from, int to);

#endif
