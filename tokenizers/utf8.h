/* SPDX-License-Identifier: Apache-2.0
 * What the tokenizer needs of UTF-8 beside base/utf8.h. */
#ifndef LFM2__TOK_UTF8_H
#define LFM2__TOK_UTF8_H

#include "base/utf8.h"

/* Unicode White_Space with the four ASCII separators 0x1C..0x1F: what Python's str.strip() takes away. */
int lfm2__is_py_space(uint32_t cp);

#endif
