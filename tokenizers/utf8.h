/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 as the Unicode standard defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef LFM2__UTF8_H
#define LFM2__UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed sequence that s starts with, and its code point; 0 if there is none. */
size_t lfm2__utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Write a code point (a valid one) as 1..4 bytes; returns how many. */
size_t lfm2__utf8_encode(uint32_t cp, char out[4]);

/* Bytes of s up to the first that is not well-formed; n if all are. */
size_t lfm2__utf8_valid_n(const char *s, size_t n);

/* Unicode White_Space with the four ASCII separators 0x1C..0x1F: what Python's str.strip() takes away. */
int lfm2__is_py_space(uint32_t cp);

#endif
