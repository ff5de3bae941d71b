/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output through a buffer. */
#ifndef FILES_OUT_H
#define FILES_OUT_H

#include <stddef.h>
#include <stdint.h>

void out_put(const void *data, size_t size);
/* A place in the buffer, of at least one byte; then what was put there. */
uint8_t *out_space(size_t *size);
void out_took(size_t size);
void out_zeros(size_t size);
/* Ends the process, quietly, where nobody reads any more. */
void out_flush(void);

#endif
