/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 as the Unicode standard defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef LFM2__BASE_UTF8_H
#define LFM2__BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed sequence that s starts with, and its code point; 0 if there is none. */
size_t lfm2__utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Write a code point (a valid one) as 1..4 bytes; returns how many. */
size_t lfm2__utf8_encode(uint32_t cp, char out[4]);

/* Bytes of s up to the first that is not well-formed; n if all are. */
size_t lfm2__utf8_valid_n(const char *s, size_t n);

/* Bytes of the sequence that a lead byte announces; 0 for a byte that starts none. */
size_t lfm2__utf8_sequence_n(unsigned char lead);

/* May byte b follow the lead as byte number i (1..3)? */
int lfm2__utf8_follows(unsigned char lead, size_t i, unsigned char b);

#endif
